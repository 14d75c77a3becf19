"""Follows which modes of a terminal a program's output sets, so that they can be undone, or set on another terminal. Pure."""

import re
from collections import deque
from collections.abc import Iterator

# DEC private modes (xterm's ctlseqs) that are off until a program sets them: application cursor keys, reverse video,
# origin, the alternate screen, keypad, margins, mouse reports and their encodings, focus reports, bracketed paste,
# synchronized output, reports of colours and of the size; and those that are on: wrapping, the cursor.
_OFF = frozenset(
    (1, 5, 6, 9, 47, 66, 69, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 2004, 2026, 2031, 2048)
)  # fmt: skip
_ON = frozenset((7, 25))
_SCREENS = (b"47", b"1047", b"1049")  # three ways to the same alternate screen
_SEQUENCE = re.compile(
    rb"\x1b(?:\[\?(?P<private>[\d;]{1,100})(?P<switch>[hl])|\[(?P<insert>4[hl])|(?P<keypad>[=>])|(?P<reset>c|\[!p)"
    rb"|\[>4(?:;(?P<keys>\d{0,9}))?m|\[(?P<kitty>[<>][\d;]{0,20})u|\[(?P<cursor>\d{0,3}) q"
    rb"|\[(?P<margins>\d{0,9}(?:;\d{0,9})?)r|\((?P<charset>[0-9A-Za-z]))"
)
# The rest of a sequence that may become one of these
_BEGUN = re.compile(rb"\x1b(?:\[(?:[?<>!]?[\d;]{0,100}) ?|\()?\Z")
_WHOLE = re.compile(rb"0*1?(?:;0*)?")  # margins from the first line to the last
_KITTY, _ALTERNATE = b"kitty", b"screen"


class TerminalModes:
    """Follows the modes. `setting` of one sets the same modes on another terminal; `undoing` undoes exactly them."""

    def __init__(self, setting: bytes = b"") -> None:
        self._set: dict[bytes, tuple[bytes, bytes]] = {}  # by name: (what sets it, what undoes it)
        self._begun = b""  # a sequence whose end has not come
        self.take(setting)

    @property
    def setting(self) -> bytes:
        """Returns the sequences that set the modes."""
        return b"".join(done for done, _ in self._set.values())

    @property
    def undoing(self) -> bytes:
        """Returns the sequences that undo the modes: first those of which the alternate screen has its own."""
        undone = dict(self._set)
        first = [undone.pop(name) for name in (_KITTY, _ALTERNATE) if name in undone]
        return b"".join(undo for _, undo in [*first, *undone.values()])

    def take(self, data: bytes) -> None:
        """Follows the next bytes of the output."""
        for _, sequence in self.sequences(data):
            self.apply(sequence)

    def sequences(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yields each sequence that sets or ends modes, with the number of bytes of `data` up to its end. Keeps what is
        unfinished for the next call.
        """
        text, before = self._begun + data, len(self._begun)
        self._begun = b""
        if b"\x1b" not in text:
            return
        if begun := _BEGUN.search(text, max(text.rfind(b"\x1b"), 0)):
            self._begun = begun[0]
        for found in _SEQUENCE.finditer(text):
            yield found.end() - before, found[0]

    def apply(self, sequence: bytes) -> None:
        """Sets or ends the modes of one sequence that `sequences` has yielded."""
        found = _SEQUENCE.fullmatch(sequence)
        assert found
        if found["private"] is not None:
            for number in found["private"].split(b";"):
                self._switch(number, found["switch"])
        elif found["reset"] is not None:
            self._reset(everything=found["reset"] == b"c")
        elif found["kitty"] is not None:
            self._count(found["kitty"])
        else:
            self._other(found, sequence)

    def _switch(self, number: bytes, switch: bytes) -> None:
        mode = int(number or b"0")
        if mode not in _OFF and mode not in _ON:
            return
        number = b"%d" % mode  # however many zeros are before it
        name = _ALTERNATE if number in _SCREENS else number
        on, off = b"\x1b[?%d" % mode + switch, b"\x1b[?%d" % mode + (b"l" if switch == b"h" else b"h")
        self._note(name, on, off, (switch == b"h") == (mode in _OFF))

    def _other(self, found: re.Match[bytes], sequence: bytes) -> None:
        kind = found.lastgroup
        if kind == "insert":
            self._note(b"insert", sequence, b"\x1b[4l", found["insert"] == b"4h")
        elif kind == "keypad":
            self._note(b"keypad", sequence, b"\x1b>", found["keypad"] == b"=")
        elif kind == "cursor":
            self._note(b"cursor", sequence, b"\x1b[0 q", found["cursor"].strip(b"0") != b"")
        elif kind == "margins":  # which move the cursor
            whole = _WHOLE.fullmatch(found["margins"]) is not None
            self._note(b"margins", b"\x1b7" + sequence + b"\x1b8", b"\x1b7\x1b[r\x1b8", not whole)
        elif kind == "charset":
            self._note(b"charset", sequence, b"\x1b(B", found["charset"] != b"B")
        else:
            self._note(b"keys", sequence, b"\x1b[>4m", (found["keys"] or b"").strip(b"0") != b"")

    def _note(self, name: bytes, setting: bytes, undoing: bytes, is_set: bool) -> None:
        self._set.pop(name, None)
        if is_set:
            self._set[name] = (setting, undoing)

    def _count(self, change: bytes) -> None:
        """Counts what is pushed on the stack of kitty's keyboard protocol, and popped from it."""
        pushed = self._set.pop(_KITTY, (b"", b""))[0].split(b"u")[:-1]
        if change.startswith(b">"):
            pushed = [*pushed, b"\x1b[" + change][-16:]
        else:
            pushed = pushed[: max(0, len(pushed) - int(change[1:].split(b";")[0] or b"1"))]
        if pushed:
            self._set[_KITTY] = (b"".join(each + b"u" for each in pushed), b"\x1b[<%du" % len(pushed))

    def _reset(self, *, everything: bool) -> None:
        soft = (b"1", b"6", b"7", b"25", b"66", b"insert", b"keypad", b"margins", b"charset")
        for name in list(self._set) if everything else soft:
            self._set.pop(name, None)


class ModeHistory:
    """Follows the modes of a session's output, and knows them at each offset of its last `reach` bytes."""

    def __init__(self, reach: int, setting: bytes = b"") -> None:
        self._reach = reach
        self._before = TerminalModes(setting)  # in front of `_changes`
        self._found = TerminalModes()
        self._changes: deque[tuple[int, bytes]] = deque()  # (offset of its end, sequence)

    def take(self, offset: int, data: bytes) -> None:
        """Follows the output that begins at `offset`."""
        for end, sequence in self._found.sequences(data):
            self._changes.append((offset + end, sequence))
        oldest = offset + len(data) - self._reach
        while self._changes and self._changes[0][0] <= oldest:
            self._before.apply(self._changes.popleft()[1])

    def at(self, offset: int) -> str:
        """Returns the sequences that set the modes as they are at `offset`."""
        modes = TerminalModes(self._before.setting)
        for end, sequence in self._changes:
            if end > offset:
                break
            modes.apply(sequence)
        return modes.setting.decode("ascii")
