"""Follows what output leaves set on the terminal that shows it: modes, colours, a character set, an open sequence. Pure."""

from gateway.client.output_tracker import whole
from gateway.protocol.terminal_modes import TerminalModes

_CANCEL = b"\x18"  # ends an unfinished sequence without effect
_PLAIN = b"\x1b[m"
_LONGEST = 64  # bytes of a sequence that sets colours
_TAIL = 4096  # bytes to look for an unfinished sequence in


class ScreenState:
    """Follows output that goes to a terminal. `undoing` undoes exactly what this output has left set there."""

    def __init__(self) -> None:
        self.modes = TerminalModes()
        self._coloured = self._shifted = False
        self._tail = b""

    def take(self, data: bytes) -> None:
        """Follows the next bytes of the output."""
        self.modes.take(data)
        colour = _last_colour((self._tail + data)[-_TAIL:] if self._tail else data)
        if colour is not None:
            self._coloured = colour.rpartition(b";")[2].strip(b"0") != b""
        out, back = data.rfind(b"\x0e"), data.rfind(b"\x0f")
        if out != back:
            self._shifted = out > back
        text = (self._tail + data)[-_TAIL:]
        self._tail = text[whole(text) :]

    @property
    def undoing(self) -> bytes:
        """Returns what undoes it; nothing where the output left the terminal as it was."""
        parts = [_CANCEL if self._tail else b"", self.modes.undoing]
        parts += [b"\x0f" if self._shifted else b"", _PLAIN if self._coloured else b""]
        return b"".join(parts)


def _last_colour(data: bytes) -> bytes | None:
    """Returns the parameters of the last SGR; None without one."""
    end = len(data)
    while (end := data.rfind(b"m", 0, end)) > 0:
        start = data.rfind(b"\x1b[", max(0, end - _LONGEST), end)
        if start >= 0 and not data[start + 2 : end].strip(b"0123456789;:"):
            return data[start + 2 : end]
    return None
