"""Encodes and parses WebSocket frames of Kubernetes' remote command, without I/O (RFC 6455; kubernetes
staging/src/k8s.io/apimachinery/pkg/util/remotecommand).
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CLOSED = (1000).to_bytes(2, "big")  # a normal closure
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTROL = 8  # opcodes from here on: at most 125 bytes, never fragmented
_SHORT = 125
_LENGTHS = {126: 2, 127: 8}  # bytes of a longer length
_LEAST = {126: _SHORT + 1, 127: 1 << 16}
_FIN, _RESERVED, _OPCODE, _MASKED = 0x80, 0x70, 0x0F, 0x80
_KNOWN = {CONTINUATION, BINARY, CLOSE, PING, PONG}  # text is in no remote command
_NO_KEY = bytes(4)


class FrameError(Exception):
    """Raised where the server breaks a rule of RFC 6455, or sends what no remote command has."""


class Part(NamedTuple):
    """A part of a message. `opcode`: BINARY, for bytes of the stream `channel`, or a control frame's, with all of it."""

    opcode: int
    channel: int
    data: bytes


def encode(opcode: int, payload: bytes) -> bytes:
    """Returns a client's whole frame. The mask is key 0, which leaves the payload as it is: RFC 6455 5.3 wants an
    unpredictable key against caches on the way, and on a Unix socket there is none. No server can tell.
    """
    size = len(payload)
    if size <= _SHORT:
        length = bytes([_MASKED | size])
    elif size < 1 << 16:
        length = bytes([_MASKED | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([_MASKED | 127]) + size.to_bytes(8, "big")
    return b"".join((bytes([_FIN | opcode]), length, _NO_KEY, payload))


def new_key() -> bytes:
    """Returns a random Sec-WebSocket-Key."""
    return base64.b64encode(os.urandom(16))


def accept(key: bytes) -> bytes:
    """Returns the Sec-WebSocket-Accept that answers the key (RFC 6455 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


class FrameReader:
    """Parses what a server sends, in whole reads: payload is passed on as it arrives, however long its frame is. After
    a close frame nothing more is parsed, nor behind a broken rule, which `broken` names.
    """

    def __init__(self) -> None:
        self.broken = ""
        self._rest = b""  # the beginning of a frame's head, or of a control frame
        self._left = 0  # bytes of a data frame that are still to come
        self._open = False  # the next data frame continues a message
        self._channel: int | None = None  # of that message, once its first byte has come
        self._closed = False

    def feed(self, data: bytes) -> list[Part]:
        """Returns the parts that `data` completes, up to a broken rule."""
        data, parts = self._rest + data if self._rest else data, list[Part]()
        try:
            self._rest = data[self._parse(data, parts) :]
        except FrameError as error:
            self.broken, self._closed = str(error), True
        return parts

    def _parse(self, data: bytes, parts: list[Part]) -> int:
        """Appends to `parts`, and returns where the rest begins. Raises FrameError."""
        at = 0
        while at < len(data) and not self._closed:
            if self._left:
                end = min(at + self._left, len(data))
                self._payload(data[at:end], parts)
                at = end
                continue
            head = _head(data, at)
            if head is None:
                break
            first, size, start = head
            if first & _OPCODE < _CONTROL:
                self._begin(first, size)
                at = start
            elif len(data) < start + size:
                break
            else:
                at = start + size
                parts.append(Part(first & _OPCODE, 0, data[start:at]))
                self._closed = first & _OPCODE == CLOSE
        return len(data) if self._closed else at

    def _begin(self, first: int, size: int) -> None:
        """Begins a data frame. A message of another kind than binary is none of a remote command's."""
        begins = first & _OPCODE != CONTINUATION
        if begins and self._open:
            raise FrameError("a message begins within another one")
        if not begins and not self._open:
            raise FrameError("a message continues that has not begun")
        if begins:
            self._channel = None
        self._open = not first & _FIN
        self._left = size

    def _payload(self, data: bytes, parts: list[Part]) -> None:
        self._left -= len(data)
        if self._channel is None:
            self._channel, data = data[0], data[1:]
        if data:
            parts.append(Part(BINARY, self._channel, data))


def _head(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Returns (first byte, payload length, where the payload begins) of the frame at `at`; None: not all is here."""
    if len(data) < at + 2:
        return None
    first, size, start = data[at], data[at + 1], at + 2
    if first & _RESERVED:
        raise FrameError("a frame has reserved bits set")
    if first & _OPCODE not in _KNOWN:
        raise FrameError(f"a frame has the opcode {first & _OPCODE}")
    if size & _MASKED:
        raise FrameError("a frame of the server is masked")
    if first & _OPCODE >= _CONTROL and (size > _SHORT or not first & _FIN):
        raise FrameError("a control frame is fragmented, or too long")
    if first & _OPCODE == CLOSE and size == 1:
        raise FrameError("a close frame has half a code")
    if size in _LENGTHS:
        start += _LENGTHS[size]
        if len(data) < start:
            return None
        least, size = _LEAST[size], int.from_bytes(data[at + 2 : start], "big")
        if size < least or size >> 63:
            raise FrameError("a frame's length is not in its shortest form")
    return first, size, start
