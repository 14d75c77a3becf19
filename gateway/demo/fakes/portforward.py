"""Forwards ports of an invented pod to the same ports of this machine: SPDY/3.1 as the kubelet speaks it, for clients
that compress without SPDY's dictionary, as dap does. A session carries one connection after the other.
"""

import select
import socket
import zlib

PROTOCOL = "SPDY/3.1"
_SYN_STREAM, _SYN_REPLY, _PING = 1, 2, 6
_FIN = 1
_PART = 32 * 1024


class Forwarding:
    """Speaks SPDY on `client`, whose upgrade is done. `local`: the connection that is carried; None between two."""

    def __init__(self, client: socket.socket, pod: str) -> None:
        self._client = client
        self._pod = pod
        self._received = bytearray()
        self._inflate = zlib.decompressobj()
        self._deflate = zlib.compressobj()
        self._error = self._data = 0  # streams of the connection
        self._local: socket.socket | None = None

    def run(self) -> None:
        """Carries connections until the client ends the session."""
        while True:
            ready, _, _ = select.select([one for one in (self._client, self._local) if one], [], [])
            if self._local in ready:
                self._from_pod(self._local)
            if self._client in ready:
                received = self._client.recv(_PART)
                self._received += received
                while self._frame():
                    pass
                if not received:
                    return

    def _from_pod(self, local: "socket.socket | None") -> None:
        data = local.recv(_PART) if local else b""
        self._say(self._data, data, fin=not data)
        if not data:
            self._end()

    def _end(self, words: bytes = b"") -> None:
        """Ends the connection: the error stream says why, or nothing."""
        self._say(self._error, words, fin=True)
        if self._local:
            self._local.close()
        self._local = None

    def _frame(self) -> bool:
        """Takes the first whole frame; False where there is none yet."""
        size = int.from_bytes(self._received[5:8], "big")
        if len(self._received) < 8 + size:
            return False
        head, body = bytes(self._received[:8]), bytes(self._received[8 : 8 + size])
        del self._received[: 8 + size]
        if not head[0] & 0x80:
            self._to_pod(int.from_bytes(head[:4], "big"), body, fin=bool(head[4] & _FIN))
        elif head[3] == _SYN_STREAM:
            self._opened(int.from_bytes(body[:4], "big"), _headers(self._inflate.decompress(body[10:])))
        elif head[3] == _PING:
            self._control(_PING, body)
        return True

    def _opened(self, stream: int, headers: "dict[str, str]") -> None:
        empty = self._deflate.compress(bytes(4)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._control(_SYN_REPLY, stream.to_bytes(4, "big") + empty)
        if headers["streamtype"] == "error":
            self._error = stream
            return
        self._data, port = stream, headers["port"]
        try:
            self._local = socket.create_connection(("127.0.0.1", int(port)), 5)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            self._end(f"error forwarding port {port} to pod {self._pod}: connect: {why}".encode())

    def _to_pod(self, stream: int, body: bytes, *, fin: bool) -> None:
        if stream != self._data or not self._local:
            return
        try:
            self._local.sendall(body)
            if fin:
                self._local.shutdown(socket.SHUT_WR)
        except OSError:
            self._say(self._data, b"", fin=True)
            self._end()

    def _say(self, stream: int, body: bytes, *, fin: bool) -> None:
        head = stream.to_bytes(4, "big") + bytes([_FIN if fin else 0]) + len(body).to_bytes(3, "big")
        self._client.sendall(head + body)

    def _control(self, kind: int, body: bytes) -> None:
        self._client.sendall(bytes([0x80, 3, 0, kind, 0]) + len(body).to_bytes(3, "big") + body)


def _headers(block: bytes) -> "dict[str, str]":
    at = 4

    def text() -> str:
        nonlocal at
        size = int.from_bytes(block[at : at + 4], "big")
        at += 4 + size
        return block[at - size : at].decode()

    return {text(): text() for _ in range(int.from_bytes(block[:4], "big"))}
