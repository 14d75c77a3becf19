"""Encodes and decodes the frames of the link between a gateway and its relay, and counts its credit. No I/O;
README.md beside this file has the words.

kind (1 byte)  stream (4 bytes)  length (2 bytes)  body (0 to 32768 bytes)        all numbers big-endian
"""

from __future__ import annotations

import json
import struct
from typing import Any

PROTOCOL = 1  # another one with every change: a gateway goes on with an older relay of the same one
CHUNK = 32768  # bytes of body: what may stand in front of another session's key
FULL = CHUNK - 7  # bytes of body of a frame that fits an SSH packet, and two of them a pipe, to the last byte
WINDOW = 65536  # bytes in flight on a stream, each way, until its receiver grants more
LEASE = 20.0  # seconds without a byte from the gateway, after which the relay ends what is not resumable
INPUT = 4 * WINDOW  # the same for STDIN, unless the gateway asks for more
MOST_INPUT = 64 * WINDOW  # of which the gateway uses what the path needs, and less while other sessions talk
MOST = 1 << 24  # bytes that credit may add up to
REQUEST = 4 << 20  # bytes of a whole request: more argv than any kernel takes
CODES = 1 << 32  # exit codes: a Windows container's have 32 bits, others end with one byte

# Kinds. What the command reads and writes has the stream's number of the Kubernetes wire.
STDIN, STDOUT, STDERR = 0, 1, 2
CREDIT, RESIZE, SIGNAL, EOF, END = 3, 4, 5, 6, 7
PART, OPEN, STARTED, EXIT = 8, 9, 10, 11
HELLO, PING, PONG, BYE = 12, 13, 14, 15
SEEN, GAP, NOTE, AFTER, RECEIVED, SKIP = 16, 17, 18, 19, 20, 21
KINDS = 22

_HEAD = struct.Struct("!BIH")
_CREDIT = struct.Struct("!I")
_SIZE = struct.Struct("!HH")
_OFFSET = struct.Struct("!Q")


class WireError(Exception):
    """Raised when the other side broke the rules; the link cannot go on. The message names the rule."""


def encode(kind: int, stream: int = 0, body: bytes = b"") -> bytes:
    """Returns one frame."""
    return _HEAD.pack(kind, stream, len(body)) + body


def encode_credit(stream: int, count: int) -> bytes:
    """Returns a frame that grants `count` more bytes on the stream."""
    return encode(CREDIT, stream, _CREDIT.pack(count))


def encode_size(stream: int, columns: int, rows: int) -> bytes:
    """Returns a frame that sets the terminal's size."""
    return encode(RESIZE, stream, _SIZE.pack(columns, rows))


def encode_offset(kind: int, stream: int, offset: int) -> bytes:
    """Returns a SEEN, GAP or RECEIVED frame."""
    return encode(kind, stream, _OFFSET.pack(offset))


def encode_object(kind: int, stream: int, value: dict[str, Any]) -> bytes:
    """Returns a frame whose body is a small JSON object; the object must fit into one frame."""
    return encode(kind, stream, json.dumps(value, ensure_ascii=False).encode())


def encode_request(stream: int, request: dict[str, Any]) -> bytes:
    """Returns the PART frames of a request and the OPEN that completes them."""
    text = json.dumps(request, ensure_ascii=False).encode()
    parts = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    return b"".join(encode(PART, stream, part) for part in parts[:-1]) + encode(OPEN, stream, parts[-1])


def decode_credit(body: bytes) -> int:
    """Returns how many more bytes are granted. Raises WireError."""
    if len(body) != _CREDIT.size:
        raise WireError("CREDIT has a body of four bytes")
    count: int = _CREDIT.unpack(body)[0]
    return count


def decode_size(body: bytes) -> tuple[int, int]:
    """Returns (columns, rows). Raises WireError."""
    if len(body) != _SIZE.size:
        raise WireError("RESIZE has a body of four bytes")
    columns, rows = _SIZE.unpack(body)
    return columns, rows


def decode_offset(body: bytes) -> int:
    """Returns the offset in bytes from the beginning. Raises WireError."""
    if len(body) != _OFFSET.size:
        raise WireError("an offset has eight bytes")
    offset: int = _OFFSET.unpack(body)[0]
    return offset


def decode_object(body: bytes) -> dict[str, Any]:
    """Returns a JSON object, of which every text is Unicode and every number is finite. Raises WireError."""
    try:
        value = json.loads(body.decode())
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise WireError("a body that should be JSON is malformed") from None
    if not isinstance(value, dict):
        raise WireError("a body that should be a JSON object is another JSON value")
    return value


def decode_exit(body: bytes) -> dict[str, Any]:
    """Returns what EXIT says: code of 32 bits, else signal 1 to 64, else an error. Raises WireError."""
    value = decode_object(body)
    if not any(key in value for key in ("code", "signal", "error")):
        raise WireError("EXIT says code, signal or error")
    if not (_number(value.get("code", 0), 0, CODES - 1) and _number(value.get("signal", 1), 1, 64)):
        raise WireError("EXIT has a code of 32 bits, or a signal of 1 to 64")
    return value


def decode_started(body: bytes) -> dict[str, Any]:
    """Returns what STARTED says: pid, offsets, generation and age where they are given. Raises WireError."""
    value = decode_object(body)
    if not all(is_offset(value.get(key, 0)) for key in ("pid", "offset", "received", "generation")):
        raise WireError("STARTED has a pid, offsets and a generation")
    pids, age = value.get("pids", []), value.get("age", 0)
    if not (
        isinstance(pids, list) and all(map(is_offset, pids)) and isinstance(age, (int, float)) and age >= 0
    ):
        raise WireError("STARTED has a list of pids and an age")
    return value


def decode_after(body: bytes) -> dict[str, Any]:
    """Returns what AFTER says. Raises WireError."""
    value = decode_object(body)
    results = value.get("results")
    if not (isinstance(results, list) and results and all(isinstance(one, dict) for one in results)):
        raise WireError("AFTER has results")
    if not all(_number(one.get("code", 0), 0, CODES - 1) for one in results):
        raise WireError("a result has a code of 32 bits")
    return value


def is_offset(value: object) -> bool:
    """True if the value is a whole number from 0 to 2^63 - 1: of bytes, or of a process."""
    return _number(value, 0, (1 << 63) - 1)


def _number(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


class Decoder:
    """Cuts bytes into frames, however the bytes arrive. Passes input and output on as they come, so that one
    of their frames may come out as several. After a WireError the decoder is of no more use.
    """

    def __init__(self) -> None:
        self._rest = b""  # of a frame that is not complete
        self._flow = (0, 0)  # kind and stream
        self.unfinished = 0  # bytes that are still to come of that frame's body

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Returns (kind, stream, body) of every frame, or part of one, that `data` completes. Raises
        WireError.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        frames, at, size = [], 0, len(data)
        (kind, stream), left = self._flow, self.unfinished
        while True:
            if left and at < size:
                body = data[at : at + left]
                at, left = at + len(body), left - len(body)
                frames.append((kind, stream, body))
            if size - at < _HEAD.size:
                break
            kind, stream, length = _HEAD.unpack_from(data, at)
            _check(kind, length)
            begin = at + _HEAD.size
            if kind <= STDERR and length:
                at, left = begin, length
            elif size - begin < length:
                break
            else:
                at = begin + length
                frames.append((kind, stream, data[begin:at]))
        self._flow, self.unfinished = (kind, stream), left
        self._rest = data[at:]
        return frames


def _check(kind: int, length: int) -> None:
    if kind >= KINDS:
        raise WireError(f"a frame of kind {kind}")
    if length > CHUNK:
        raise WireError(f"a frame of {length} bytes")


class Allowance:
    """Counts the sender's side of credit: how many bytes may still be sent."""

    def __init__(self, left: int = WINDOW) -> None:
        self.left = left

    def take(self, count: int) -> None:
        """Deducts bytes that have been sent."""
        self.left -= count

    def grant(self, count: int) -> None:
        """Adds credit from the receiver. Raises WireError above MOST."""
        self.left += count
        if self.left > MOST:
            raise WireError(f"more credit than {MOST} bytes")


class Window:
    """Counts the receiver's side of credit: what may come, and what to grant once it has been used."""

    def __init__(self, size: int = WINDOW, waiting: int = 0, step: int = 0) -> None:
        """Starts with `size` bytes granted, of which `waiting` came earlier and have not been used: nothing is
        granted for what is more. `step`: a grant is due when that many have been used; 0 for a quarter of `size`.
        """
        self.size = size
        self._step = step or size // 4
        self._left = max(size - waiting, 0)
        self._used = min(size - waiting, 0)

    def arrived(self, count: int) -> None:
        """Counts bytes that came. Raises WireError when they were more than had been granted."""
        self._left -= count
        if self._left < 0:
            raise WireError("more bytes than there was credit for")

    def resize(self, size: int, step: int) -> None:
        """Sets the window's size: more is granted with the next bytes used, or less until the new size is
        met. `step`: a grant is due when that many have been used.
        """
        self._used += size - self.size
        self.size, self._step = size, step

    def used(self, count: int) -> int:
        """Counts bytes that have left the buffer. Returns how many to grant now: 0 until a grant is worth a frame."""
        self._used += count
        if self._used < self._step:
            return 0
        grant, self._used = self._used, 0
        self._left += grant
        return grant
