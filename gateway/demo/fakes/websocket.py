"""Speaks WebSocket as the API server does for a remote command (RFC 6455), on a connection that was upgraded."""

import base64
import hashlib

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept(key: str) -> str:
    """Returns the Sec-WebSocket-Accept that answers the key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def frame(opcode: int, payload: bytes) -> bytes:
    """Returns a server's whole frame."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + payload


class Frames:
    """Parses the frames of a client that sends each message in one frame, as clients of a remote command do."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> "list[tuple[int, bytes]]":
        """Returns the opcode and payload of each frame that `data` completes."""
        self._received += data
        found = []
        while (one := self._next()) is not None:
            found.append(one)
        return found

    def _next(self) -> "tuple[int, bytes] | None":
        data = self._received
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if size > 125:
            at += 2 if size == 126 else 8
            size = int.from_bytes(data[2:at], "big")
        end = at + 4 + size
        if len(data) < end:
            return None
        opcode, payload = data[0] & 0x0F, _unmasked(bytes(data[at + 4 : end]), bytes(data[at : at + 4]))
        del data[:end]
        return opcode, payload


def _unmasked(payload: bytes, key: bytes) -> bytes:
    if key == bytes(4):
        return payload
    mask = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(payload), "big")
