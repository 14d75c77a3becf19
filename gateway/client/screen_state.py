"""Follows what output leaves set on the terminal that shows it: modes, colours, a character set, an open sequence. Pure."""

from gateway.client.output_tracker import whole
from gateway.protocol.terminal_modes import TerminalModes

_CANCEL = b"\x18"  # ends an unfinished sequence without effect
_PLAIN = b"\x1b[m"
_LONGEST = 64  # bytes of a sequence that sets colours
_EXTENDED = (b"38", b"48", b"58")  # colours whose numbers follow
_EXTENDED_BY = {b"5": 1, b"2": 3}  # so many numbers more
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
        text = self._tail + data
        colour = _last_colour(text)
        if colour is not None:
            self._coloured = _colours(colour)
        out, back = data.rfind(b"\x0e"), data.rfind(b"\x0f")
        if out != back:
            self._shifted = out > back
        text = text[-_TAIL:]
        self._tail = text[whole(text) :]

    @property
    def undoing(self) -> bytes:
        """Returns what undoes it; nothing where the output left the terminal as it was."""
        parts = [_CANCEL if self._tail else b"", self.modes.undoing]
        parts += [b"\x0f" if self._shifted else b"", _PLAIN if self._coloured else b""]
        return b"".join(parts)


def _colours(parameters: bytes) -> bool:
    """Returns True if an SGR with these parameters leaves colours or attributes set: a 0 ends all before it, but for the
    zeros that belong to a colour, as in 48;5;0 and 38;2;0;0;0.
    """
    left = False
    numbers = iter(parameters.split(b";"))
    for number in numbers:
        left = number.strip(b"0") != b""
        if number in _EXTENDED:
            for _ in range(_EXTENDED_BY.get(next(numbers, b""), 0)):
                next(numbers, b"")
    return left


def _last_colour(data: bytes) -> bytes | None:
    """Returns the parameters of the last SGR; None without one."""
    end = len(data)
    while (end := data.rfind(b"m", 0, end)) > 0:
        start = data.rfind(b"\x1b[", max(0, end - _LONGEST), end)
        if start >= 0 and not data[start + 2 : end].strip(b"0123456789;:"):
            return data[start + 2 : end]
    return None
