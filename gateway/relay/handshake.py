"""Writes the request that opens a remote command, and parses the answer (RFC 6455 4.1, RFC 9112)."""

from __future__ import annotations

import re
from typing import NamedTuple

from . import websocket

HEAD = 65536  # bytes of an answer's head
SWITCHING = 101
BODY = 4000  # bytes kept of a refusal's body
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?")


class Answer(NamedTuple):
    """Holds the head of an answer. Header names are in lower case; of repeated ones the last counts."""

    code: int
    headers: dict[bytes, bytes]

    @property
    def most(self) -> int:
        """Returns how many bytes of the body to wait for. Without a length it ends with the connection."""
        text = self.headers.get(b"content-length", b"")
        return min(int(text), BODY) if text.isdigit() else BODY

    def body(self, came: bytes) -> bytes:
        """Returns the beginning of the body, of which `came` has come: what the API server does not know the length of at
        first, as of a Status of 2 KiB, goes in chunks (RFC 9112 7.1).
        """
        if self.headers.get(b"transfer-encoding", b"").lower() != b"chunked":
            return came[:BODY]
        parts = b""
        while (match := _CHUNK.match(came)) and (count := int(match[1], 16)):
            parts += came[match.end() :][:count]
            came = came[match.end() + count + 2 :]
        return parts[:BODY]

    def problem(self, key: bytes, protocols: list[str]) -> str:
        """Returns why an answer with code 101 does not open a WebSocket; empty where the answer does."""
        headers = self.headers
        if headers.get(b"upgrade", b"").lower() != b"websocket":
            return "the answer changes to another protocol than WebSocket"
        if headers.get(b"sec-websocket-accept") != websocket.accept(key):
            return "the answer is to another handshake"
        if self.protocol not in protocols or b"sec-websocket-extensions" in headers:
            return f"the answer speaks {self.protocol or 'no protocol'}, which was not offered"
        return ""

    @property
    def protocol(self) -> str:
        """Returns the subprotocol that the server chose; empty where the answer names none."""
        return self.headers.get(b"sec-websocket-protocol", b"").decode("latin-1")


def request(path: str, protocols: list[str], headers: list[tuple[str, str]], key: bytes) -> bytes:
    """Returns the request's bytes. kubectl proxy answers other hosts than localhost with 403."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key.decode()}",
        f"Sec-WebSocket-Protocol: {', '.join(protocols)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def parse(data: bytes) -> tuple[Answer, bytes] | None:
    """Returns the answer whose head is complete in `data`, and the bytes behind the head; None: more is to come. Raises
    FrameError for what is no answer, and for a head beyond HEAD bytes.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end and len(data) <= HEAD:
        return None
    first, *lines = head.split(b"\r\n")
    match = _STATUS.fullmatch(first)
    if not end or not match or not all(b":" in line for line in lines):
        raise websocket.FrameError("the answer is no HTTP, or its head is too long")
    fields = (line.partition(b":") for line in lines)
    return Answer(int(match[1]), {name.strip().lower(): value.strip() for name, _, value in fields}), rest
