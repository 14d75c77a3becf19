"""Shows messages of `dap` on a terminal whose screen belongs to a program.

A program draws where it likes, and knows nothing of what we write: any text of ours tears a full screen. So the rule is

- the window's title and the bell, at once: they are no part of the screen. The title that was there comes back after.
- a line on stderr only while the program cannot draw (a connection is lost), and only after three seconds or when a
  key is pressed, since whoever types wants to know. Afterwards a note, and the program is made to draw all again: its
  terminal becomes one row smaller for a moment.
- where output was dropped a marker in the output itself: a loss that nobody sees is worse than a torn screen.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from gateway.cli.console import safe
from gateway.cli.terminal.stdio import Sink

LINE_AFTER = 3.0  # seconds without a connection until a line says so
_UNTITLED = ("", "dumb", "linux")  # terminals without a title
_PUSH, _POP = b"\x1b[22;2t", b"\x1b[23;2t"  # the title, saved and restored (xterm's XTWINOPS)
_CANCEL = b"\x18"  # ends an unfinished escape sequence without effect
_BELL = b"\x07"


class Notices:
    """Writes notices through the sink, so that each stands between outputs.

    `unfinished` tells whether the output stands in the middle of an escape sequence. Title and bell wait for
    its end; a line cuts it off, and sets `torn`: what it cut off has to be drawn again.
    """

    def __init__(self, sink: Sink, unfinished: Callable[[], bool], fd: int = 2) -> None:
        self._sink = sink
        self._fd = fd
        self._unfinished = unfinished
        self._bells = os.isatty(fd)
        self._titles = self._bells and os.environ.get("TERM", "") not in _UNTITLED
        self._titled = False
        self._warning = ""
        self._late = b""
        self.torn = False

    def title(self, text: str) -> None:
        """Shows the text as the window's title, until `untitle`."""
        if self._titles:
            push = b"" if self._titled else _PUSH
            self._titled = True
            self._quietly(push + b"\x1b]2;" + safe(f"dap: {text}").encode() + _BELL)

    def warn(self, text: str) -> None:
        """Shows the text as the title whenever there is no other; an empty text ends the warning."""
        self._warning = text
        if text:
            self.title(text)
        else:
            self.untitle()

    def untitle(self) -> None:
        """Restores the title that was there, or the warning."""
        if self._warning:
            self.title(self._warning)
        elif self._titled:
            self._titled = False
            self._quietly(_POP)

    def bell(self) -> None:
        """Rings the terminal's bell."""
        if self._bells:
            self._quietly(_BELL)

    def line(self, text: str) -> None:
        """Writes the text on a line of its own."""
        self._cut(b"\r\n" + safe(f"dap: {text}").encode() + b"\r\n")

    def marker(self, text: str) -> None:
        """Writes the text in the middle of the output, in reverse video."""
        self._cut(b"\r\n\x1b[0;7m" + safe(f"[dap: {text}]").encode() + b"\x1b[0m\r\n")

    def left_out(self, size: int) -> None:
        """Marks where `size` bytes of output that had come are left out, in whatever sequence they end."""
        words = safe(f"[dap: {size} bytes of output skipped]").encode()
        self._sink.put(self._fd, _CANCEL + b"\r\n\x1b[0;7m" + words + b"\x1b[0m\r\n")

    def flush(self) -> None:
        """Writes the titles and bells that had to wait, once the output is in no sequence."""
        if self._late and not self._unfinished():
            late, self._late = self._late, b""
            self._sink.put(self._fd, late)

    def _quietly(self, data: bytes) -> None:
        self._late += data
        self.flush()

    def _cut(self, data: bytes) -> None:
        if self._unfinished():
            self.torn = True
            data = _CANCEL + data
        late, self._late = self._late, b""
        self._sink.put(self._fd, data + late)


@dataclass(frozen=True)
class Lost:
    """Holds what is lost, and for how long the session waits."""

    hop: str
    message: str
    code: str
    seconds: float


class Absence:
    """Shows the person the time without a connection: from `begin` to `over`."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._loop = asyncio.get_running_loop()
        self._lost: Lost | None = None
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.told = False  # the line is on the screen

    @property
    def lost(self) -> Lost | None:
        """Returns what is lost; None while all is well."""
        return self._lost

    @property
    def left(self) -> float:
        """Returns the seconds until the session is given up; 0 while all is well."""
        return max(0.0, self._since + self._lost.seconds - self._loop.time()) if self._lost else 0.0

    def begin(self, lost: Lost) -> None:
        """Starts the time without a connection, and rings. When something was lost already, the new words
        replace the old ones.
        """
        first = self._lost is None
        self._lost, self._since = lost, self._loop.time()
        self.remind()
        if first:
            self._notices.bell()
            self._timer = self._loop.call_later(LINE_AFTER, self.tell)

    def remind(self) -> None:
        """Shows in the title how long it may still take."""
        if self._lost:
            self._notices.title(f"{self._lost.hop}: connection lost, waiting {self.left:.0f} s more")

    def tell(self) -> None:
        """Writes the line on the screen, once."""
        if self._lost and not self.told:
            self.told = True
            self._notices.line(
                f"{self._lost.hop}: {self._lost.message}: waiting {self.left:.0f} s, keys are kept, Ctrl-C gives up"
            )

    def over(self) -> bool:
        """Ends the time without a connection. True if the screen has to be drawn again."""
        if self._lost is None:
            return False
        told = self.told
        self.stop()
        self._notices.untitle()
        if told:
            self._notices.line("connected again")
        return told

    def stop(self) -> None:
        """Cancels what would still be shown: the session is over."""
        if self._timer:
            self._timer.cancel()
        self._lost, self._timer, self.told = None, None, False
