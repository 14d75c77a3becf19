"""Tracks how much of a terminal's output was taken, and where in it a message of ours would tear something apart. Pure.

Offsets count bytes of output from the session's beginning. A chunk may end in the middle of an escape sequence or of a
character. What we write there ends the sequence (CAN), so after a message the output is taken again from its beginning:
therefore `seen`, before which the gateway forgets, never points behind an unfinished one.
"""

import re
from collections import deque

_LONGEST = 4096  # bytes; what is unfinished after them is no sequence that anybody waits for
_SEQUENCE = (
    re.compile(  # ECMA-48: control sequences, OSC up to its BEL, charsets and the like, single functions
        rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])"
    )
)


class OutputTracker:
    """Tracks which output was taken. `accepted` is the offset of the next byte to come."""

    def __init__(self) -> None:
        self.accepted = 0
        self._whole = 0  # up to here nothing is unfinished
        self._tail = b""  # from there on
        self._count = 0  # bytes given to the terminal, replays too
        self._marks: deque[tuple[int, int]] = deque()  # (count, whole offset at it)
        self._seen = 0

    @property
    def unfinished(self) -> bool:
        """True if the output stands in the middle of an escape sequence or a character."""
        return self._whole != self.accepted

    def begin(self, offset: int) -> None:
        """Starts at `offset`, at the first hello and where the rest is gone; what comes before is not for us."""
        self.restart(offset)
        self._marks.clear()
        self._seen = offset

    def take(self, data: bytes) -> None:
        """Counts the next bytes, which go to the terminal."""
        text = (self._tail + data)[-_LONGEST:] if self._tail else data[-_LONGEST:]
        cut = whole(text)
        self.accepted += len(data)
        self._count += len(data)
        self._whole = self.accepted - (len(text) - cut)
        self._tail = text[cut:]
        self._mark()

    def add_foreign(self, size: int) -> None:
        """Counts `size` bytes that go to the terminal and are no output."""
        self._count += size

    def skip(self, size: int) -> None:
        """Counts the next `size` bytes as lost for good."""
        self.restart(self.accepted + size)
        self._mark()

    def restart(self, offset: int) -> None:
        """Sets the offset of the next byte to come, and forgets what is unfinished."""
        self.accepted = self._whole = offset
        self._tail = b""

    def rewind(self) -> None:
        """Goes back to the start of what is unfinished, to take it once more: something of ours was written
        behind it.
        """
        self.restart(self._whole)

    def seen(self, written: int) -> int:
        """Returns the offset before which nothing is needed again, when the terminal has `written` of the
        bytes given to it.
        """
        while self._marks and self._marks[0][0] <= written:
            self._seen = self._marks.popleft()[1]
        return self._seen

    def _mark(self) -> None:
        if self._marks and self._marks[-1][0] == self._count:
            self._marks.pop()
        self._marks.append((self._count, self._whole))


def whole(data: bytes) -> int:
    """Returns how many bytes come before an unfinished sequence or character at the end; all of them where
    nothing is unfinished.
    """
    start = data.rfind(b"\x1b")
    if start >= 0 and not _SEQUENCE.match(data, start):
        # a string's terminator is ESC and a backslash: what it ends begins at the escape before
        return start if len(data) - start < _LONGEST else len(data)
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if size > back else len(data)
        if byte < 0x80:
            break
    return len(data)
