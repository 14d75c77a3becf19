"""The other end of a connection as plain bytes: HTTP requests and WebSocket frames, right and wrong ones."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
)
V5 = ("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
OWN = ("Sec-WebSocket-Protocol", "v1.dap-gateway")
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def status(self) -> dict[str, object]:
        """The Status object that it is; fails where it is none."""
        assert self.headers["content-type"].startswith("application/json"), self
        body: dict[str, object] = json.loads(self.body)
        assert (body["kind"], body["apiVersion"], body["status"]) == ("Status", "v1", "Failure"), body
        assert body["code"] == self.code
        return body


class Peer:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader = reader
        self.writer = writer
        self.host = host

    async def ask(
        self, method: str, path: str, headers: Headers = (), *, host: str | None = "", body: bytes = b""
    ) -> Answer:
        """A request and its answer. `host`: other than the right one, or None for no such header."""
        self.request(method, path, headers, host=host, body=body)
        return await self.answer(head=method == "HEAD")

    def request(
        self, method: str, path: str, headers: Headers = (), *, host: str | None = "", body: bytes = b""
    ) -> None:
        """Sends it."""
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"Host: {host or self.host}"] if host is not None else []
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"Content-Length: {len(body)}"] if body else []
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def answer(self, *, head: bool = False) -> Answer:
        """The next HTTP answer."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = 0 if head else int(headers.get("content-length", "0"))
        return Answer(int(first.split()[1]), headers, await self.reader.readexactly(size))

    async def upgrade(self, path: str, headers: Headers = ()) -> Answer:
        """The same with the headers of a WebSocket's opening."""
        return await self.ask("GET", path, (*UPGRADE, *headers))

    def send(self, data: bytes) -> None:
        """Bytes as they are; where they go in memory is not our concern."""
        self.writer.write(data)

    def say(self, payload: bytes, opcode: int = BINARY, *, first: int = 0x80, mask: bool = True) -> None:
        """One frame. `first`: FIN and reserved bits."""
        self.send(frame(payload, opcode, first=first, mask=mask))

    async def hear(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame; IncompleteReadError at the end of the connection."""
        first, second = await self.reader.readexactly(2)
        assert first & 0x70 == 0, "no extension was negotiated"
        assert second < 0x80, "a server does not mask"
        size = second
        if size == 126:
            (size,) = struct.unpack(">H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(size)

    async def rest(self) -> list[tuple[int, bytes]]:
        """All frames up to the close frame, which is answered, or to the end of the connection."""
        heard = []
        try:
            while True:
                heard.append(await self.hear())
                if heard[-1][0] == CLOSE:
                    self.say(heard[-1][1], CLOSE)
                    return heard
        except (asyncio.IncompleteReadError, ConnectionError):
            return heard

    async def close_code(self) -> int | None:
        """The code of the close frame, which is answered; None when the connection ends without."""
        last = (await self.rest() or [(0, b"")])[-1]
        return int.from_bytes(last[1][:2], "big") if last[0] == CLOSE else None

    def reset(self) -> None:
        """RST."""
        sock = self.writer.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def frame(payload: bytes, opcode: int = BINARY, *, first: int = 0x80, mask: bool = True) -> bytes:
    """A client's frame."""
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head = bytes([first | opcode, bit | len(payload)])
    elif len(payload) < 65536:
        head = struct.pack(">BBH", first | opcode, bit | 126, len(payload))
    else:
        head = struct.pack(">BBQ", first | opcode, bit | 127, len(payload))
    if not mask:
        return head + payload
    if len(payload) > 4096:
        return head + bytes(4) + payload  # a mask of zeros: the payload as it is
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


@asynccontextmanager
async def peer(where: str, *, rcvbuf: int = 0) -> AsyncIterator[Peer]:
    """A connection to http://HOST:PORT, or to a Unix socket's path. `rcvbuf`: bytes the kernel takes for us."""
    if where.startswith("/"):
        reader, writer = await asyncio.open_unix_connection(where, limit=1 << 22)
        host = "localhost"
    else:
        host = urlsplit(where).netloc
        sock = socket.socket()
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.setblocking(False)
        address, _, port = host.rpartition(":")
        await asyncio.get_running_loop().sock_connect(sock, (address, int(port)))
        limit = rcvbuf or 1 << 22
        reader, writer = await asyncio.open_connection(sock=sock, limit=limit)
    try:
        yield Peer(reader, writer, host)
    finally:
        writer.transport.abort()


async def once(where: str, method: str, path: str, headers: Headers = (), **more: object) -> Answer:
    """One request on a connection of its own."""
    async with peer(where) as connection:
        return await connection.ask(method, path, headers, **more)  # type: ignore[arg-type]
