"""Forwards a port of an invented pod, to the same port of this machine: a WebSocket as the kubelet's, `v4.channel.k8s.io`."""

import base64
import hashlib
import select
import socket

PROTOCOL = "v4.channel.k8s.io"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_DATA, _ERROR = b"\x00", b"\x01"
_PART = 32 * 1024


def accepting(key: str) -> str:
    """Returns the Sec-WebSocket-Accept that answers a key."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


def forward(client: socket.socket, port: int, pod: str) -> None:
    """Carries one connection over the WebSocket on `client`, whose handshake is done, until either side ends."""
    for channel in (_DATA, _ERROR):
        client.sendall(_frame(_BINARY, channel + port.to_bytes(2, "little")))
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as local:
            _carry(client, local)
    except OSError as error:
        words = (
            f"error forwarding port {port} to pod {pod}: connect: {(error.strerror or str(error)).lower()}"
        )
        client.sendall(_frame(_BINARY, _ERROR + words.encode()))
    client.sendall(_frame(_CLOSE, (1000).to_bytes(2, "big")))


def _carry(client: socket.socket, local: socket.socket) -> None:
    received = bytearray()
    while True:
        ready, _, _ = select.select([client, local], [], [])
        if local in ready:
            data = local.recv(_PART)
            if not data:
                return
            client.sendall(_frame(_BINARY, _DATA + data))
        if client in ready:
            data = client.recv(_PART)
            received += data
            while frame := _next(received):
                if frame[0] == _CLOSE:
                    return
                if frame[0] == _PING:
                    client.sendall(_frame(_PONG, frame[1]))
                elif frame[0] == _BINARY and frame[1][:1] == _DATA:
                    local.sendall(frame[1][1:])
            if not data:
                return


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + payload


def _next(received: bytearray) -> "tuple[int, bytes] | None":
    """Takes the first whole frame off; None where there is none yet. A client's frames are masked."""
    if len(received) < 2:
        return None
    size, at = received[1] & 0x7F, 2
    if size > 125:
        at = 4 if size == 126 else 10
        size = int.from_bytes(received[2:at], "big")
    if len(received) < at + 4 + size:
        return None
    mask = bytes(received[at : at + 4]) * (size // 4 + 1)
    masked = received[at + 4 : at + 4 + size]
    payload = (int.from_bytes(masked, "big") ^ int.from_bytes(mask[:size], "big")).to_bytes(size, "big")
    opcode = received[0] & 0x0F
    del received[: at + 4 + size]
    return opcode, payload
