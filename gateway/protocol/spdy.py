"""Encodes and decodes SPDY/3.1 as Kubernetes' streaming protocols use it (draft-mbelshe-httpbis-spdy-00; moby/spdystream).

The headers of an answer say nothing that a client needs, so their compression, which takes SPDY's own dictionary, is not
undone. What is sent is compressed without a dictionary, which zlib's header says to the other side.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

FIN = 1
LARGEST = 1 << 20  # bytes of one frame that are taken
_VERSION = 0x8003
_HEAD = 8  # bytes


class Control(IntEnum):
    """Names the control frames that matter here."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    PING = 6
    GOAWAY = 7


@dataclass(frozen=True)
class Frame:
    """Holds one frame. `kind`: None for data, else a number of `Control`, or of a frame that is of no use here. `stream`: 0
    for a frame that is about no stream; `body`: of data the bytes, else all behind the head.
    """

    kind: int | None
    stream: int
    flags: int
    body: bytes

    @property
    def fin(self) -> bool:
        """Returns True for the last frame of a stream in its direction."""
        return bool(self.flags & FIN)


class Decoder:
    """Cuts what is received into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def receive(self, data: bytes) -> list[Frame]:
        """Returns the frames that are whole now. Raises ValueError for more than LARGEST bytes in one."""
        received, frames, at = self._rest + data, [], 0
        while len(received) - at >= _HEAD:
            size = int.from_bytes(received[at + 5 : at + _HEAD], "big")
            if size > LARGEST:
                raise ValueError(f"a SPDY frame of {size} bytes")
            begin, end = at + _HEAD, at + _HEAD + size
            if len(received) < end:
                break
            frames.append(_frame(received[at:begin], received[begin:end]))
            at = end
        self._rest = received[at:]
        return frames


def _frame(head: bytes, body: bytes) -> Frame:
    if not head[0] & 0x80:
        return Frame(None, int.from_bytes(head[:4], "big"), head[4], body)
    kind = int.from_bytes(head[2:4], "big")
    about = int.from_bytes(body[:4], "big") & 0x7FFFFFFF
    return Frame(kind, about if kind in _ABOUT_STREAM else 0, head[4], body)


_ABOUT_STREAM = (Control.SYN_STREAM, Control.SYN_REPLY, Control.RST_STREAM)


class Encoder:
    """Encodes one side's frames: the headers of all of them share one compression."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj()

    def syn_stream(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """Returns the frame that opens a stream."""
        block = self._deflated(headers)
        return _control(Control.SYN_STREAM, _id(stream) + bytes(6) + block)

    def syn_reply(self, stream: int) -> bytes:
        """Returns the frame that takes a stream."""
        return _control(Control.SYN_REPLY, _id(stream) + self._deflated({}))

    def _deflated(self, headers: Mapping[str, str]) -> bytes:
        raw = _id(len(headers))
        for name, value in headers.items():
            raw += _sized(name.lower().encode()) + _sized(value.encode())
        return self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def data(stream: int, body: bytes, *, fin: bool = False) -> bytes:
    """Returns a frame of data."""
    return _id(stream) + bytes([FIN if fin else 0]) + len(body).to_bytes(3, "big") + body


def ping(number: bytes) -> bytes:
    """Returns a ping, or the answer to the one with this body."""
    return _control(Control.PING, number)


def _control(kind: Control, body: bytes) -> bytes:
    return (
        _VERSION.to_bytes(2, "big") + kind.to_bytes(2, "big") + bytes(1) + len(body).to_bytes(3, "big") + body
    )


def _id(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _sized(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text
