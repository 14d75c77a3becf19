"""Draws the output of a terminal's session: each byte once, and a marker where bytes are missing."""

from gateway.cli.terminal.flood import Flood
from gateway.cli.terminal.notices import Notices
from gateway.cli.terminal.stdio import Sink
from gateway.client.output_tracker import OutputTracker
from gateway.client.resume import Resume, broken
from gateway.protocol.messages import Output, Stream


class Display:
    """Draws output through the sink, and tracks how much of it the terminal has taken."""

    def __init__(self, sink: Sink, *, exact: bool) -> None:
        self._sink = sink
        self._tracker = OutputTracker()
        self.notices = Notices(sink, lambda: self._tracker.unfinished)
        self.flood = Flood(sink, self.notices.left_out, exact=exact)

    @property
    def seen(self) -> int:
        """Returns the offset before which no output is needed again."""
        return self._tracker.seen(self._sink.written(Stream.STDOUT))

    def next_offset(self) -> int:
        """Returns the offset that an attach asks for: what a notice of ours has torn is drawn once more."""
        if self.notices.torn:
            self.notices.torn = False
            self._tracker.rewind()
        return self._tracker.accepted

    def begin(self, found: Resume, *, joining: bool) -> None:
        """Starts at the first hello. `joining`: the session's program has set modes that this terminal has not."""
        self._tracker.begin(found.offset)
        if joining:
            self._set_modes(found.modes)

    def continue_at(self, found: Resume, *, afresh: bool) -> bool:
        """Goes on at a later hello's offset. True if the program has to draw its screen again. Raises GatewayFailed
        where that is not the offset that was asked for; `afresh`: any offset was.
        """
        missing = found.offset - self._tracker.accepted
        if missing and not afresh:
            raise broken("its output goes on at another offset than was asked for")
        if not missing:
            return False
        skipped = f"{missing} bytes of output skipped"
        self.notices.marker(skipped if missing > 0 else "output that was shown already follows")
        self._tracker.begin(found.offset)
        self._set_modes(found.modes)
        return True

    def gap(self, size: int) -> None:
        """Marks where `size` bytes of output are missing."""
        self.flood.emit()
        self.notices.marker(f"{size} bytes of output skipped")
        self.notices.torn = False  # what was cut off here never goes on
        self._tracker.skip(size)

    async def draw(self, output: Output) -> None:
        """Draws output; waits while much of it waits for the terminal. Raises as `Sink.write`."""
        if output.stream == Stream.STDOUT:
            self._tracker.take(output.data)
        await self.flood.write(output.stream, output.data)
        self.notices.flush()

    def _set_modes(self, modes: bytes) -> None:
        """Sets the terminal's modes as the output that is not drawn here has set them."""
        text = self._sink.screen.modes.undoing + modes
        self._tracker.add_foreign(len(text))
        self._sink.put(Stream.STDOUT, text)
