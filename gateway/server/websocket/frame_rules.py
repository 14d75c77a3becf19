"""Checks a client's frames for what aiohttp's parser lets pass though RFC 6455 forbids it: no mask, a length that is not in
its shortest form or has its highest bit set, a message that begins within another, and close codes that nobody may send.
"""

from typing import Protocol

_FIN, _MASKED = 0x80, 0x80
_TEXT, _BINARY, _CLOSE = 1, 2, 8
_KEY = 4  # bytes of a masking key
_CODE = 2  # bytes of a close code
_REFUSED = b"\xf0\x80" + bytes(_KEY)  # a frame with reserved bits, of which the parser itself says 1002
_SHORTEST = {126: 126, 127: 1 << 16}  # the least that such a length may say


class Parser(Protocol):
    """Takes what a connection receives."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Takes bytes. Returns True once it takes no more."""
        ...

    def feed_eof(self) -> None:
        """Takes the end."""
        ...


class FrameRules:
    """Passes bytes to the `parser` of a WebSocket up to the first frame that breaks a rule. That frame the parser gets as one
    that it refuses.
    """

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._held = b""  # a head that is not whole
        self._payload = 0  # bytes of the frame under way that are still to come
        self._fragmented = False  # a message is under way
        self._broken = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Takes bytes, as the parser does."""
        if not self._broken:
            data, self._held = self._held + data, b""
            data = self._kept(data)
        return self._parser.feed_data(data)

    def feed_eof(self) -> None:
        """Takes the end, as the parser does."""
        self._parser.feed_eof()

    def _kept(self, data: bytes) -> bytes:
        """Returns the bytes for the parser, and holds the others back."""
        at = min(self._payload, len(data))
        self._payload -= at
        while at < len(data):
            size = _head(data, at)
            if size is None:
                self._held = data[at:]
                return data[:at]
            length = _length(data, at)
            if self._breaks(data, at, length):
                self._broken = True
                return data[:at] + _REFUSED
            at += size + length
        self._payload += at - len(data)
        return data

    def _breaks(self, data: bytes, at: int, length: int) -> bool:
        """Returns True for a frame that breaks a rule, whose head is at `at`; takes note of a message's parts."""
        opcode, form = data[at] & 0x0F, data[at + 1] & 0x7F
        if not data[at + 1] & _MASKED or length < _SHORTEST.get(form, 0) or length >> 63:
            return True
        if opcode == _CLOSE and length >= _CODE:
            return not _may_be_sent(_code(data, at, form))
        if opcode in (_TEXT, _BINARY) and self._fragmented:
            return True
        if opcode < _CLOSE:
            self._fragmented = not data[at] & _FIN
        return False


def _head(data: bytes, at: int) -> int | None:
    """Returns the bytes of the frame's head at `at`; None while the head is not whole, a close's code among it."""
    if len(data) - at < 2:
        return None
    form, masked = data[at + 1] & 0x7F, data[at + 1] & _MASKED
    size = 2 + {126: 2, 127: 8}.get(form, 0) + (_KEY if masked else 0)
    code = _CODE if data[at] & 0x0F == _CLOSE and form >= _CODE else 0
    return size if len(data) - at >= size + code else None


def _length(data: bytes, at: int) -> int:
    form = data[at + 1] & 0x7F
    return form if form < 126 else int.from_bytes(data[at + 2 : at + (4 if form == 126 else 10)], "big")


def _code(data: bytes, at: int, form: int) -> int:
    """Returns the code of a close, which is at the beginning of its payload, behind the key."""
    key = at + 2 + {126: 2, 127: 8}.get(form, 0)
    masked = int.from_bytes(data[key + _KEY : key + _KEY + _CODE], "big")
    return masked ^ int.from_bytes(data[key : key + _CODE], "big")


def _may_be_sent(code: int) -> bool:
    """Returns True for the codes that RFC 6455 and IANA's list define for the wire, and those that are free for use."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
