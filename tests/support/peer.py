"""The other end of a connection: HTTP requests by h11 and WebSocket frames by websockets, and wrong ones of both."""

import asyncio
import json
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11
from support.exec_client import Access
from websockets.frames import Frame

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
    """An HTTP answer. `headers`: by name in lower case, the first of each; `ended`: the server closed the connection."""

    code: int
    headers: dict[str, str]
    body: bytes
    ended: bool = False

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
        self._asked: deque[h11.Connection] = deque()

    async def ask(self, method: str, path: str, headers: Headers = (), **more: Any) -> Answer:
        """A request, see `request`, and its answer."""
        self.request(method, path, headers, **more)
        return await self.answer()

    def request(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        *,
        host: str | None = "",
        body: bytes = b"",
        checked: bool = True,
    ) -> None:
        """Sends it. `host`: other than the right one, or None for no such header; `checked`: no for what h11 would
        refuse to send. A body that the headers announce and that is not given here is the caller's to send.
        """
        fields = [*([("Host", host or self.host)] if host is not None else []), *headers]
        http, sent = exchange(method, path, fields, body) if checked else _wrong(method, path, fields)
        self._asked.append(http)
        self.send(sent)

    async def answer(self) -> Answer:
        """The next HTTP answer; nothing that comes after it is read."""
        http = self._asked.popleft() if self._asked else _wrong("GET")[0]
        http.receive_data(await self.reader.readuntil(b"\r\n\r\n"))
        head, body = http.next_event(), b""
        assert isinstance(head, h11.Response | h11.InformationalResponse), head
        fields = _first(head)
        left = int(fields.get("content-length", "0"))
        while (event := http.next_event()) is h11.NEED_DATA or isinstance(event, h11.Data):
            if isinstance(event, h11.Data):
                body += event.data
            else:
                more = self.reader.readexactly(left) if left else self.reader.readuntil(b"\r\n")
                http.receive_data(await more)
        return Answer(head.status_code, fields, body)

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
        """(opcode, payload) of the next frame; IncompleteReadError at the end of the connection. ProtocolError for a mask
        or an extension.
        """
        parser = Frame.parse(_wanted, mask=False)  # type: ignore[arg-type]  # whoever runs it sends what it wants
        data = None
        while True:
            try:
                size: int = parser.send(data)  # type: ignore[assignment,arg-type]  # so that is what it yields
            except StopIteration as done:
                return int(done.value.opcode), bytes(done.value.data)
            data = await self.reader.readexactly(size)

    async def rest(self) -> list[tuple[int, bytes]]:
        """All frames up to the close frame, which is answered, or to the end of the connection. From here on the kernel
        takes as much for us as it will.
        """
        heard = []
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
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


class _Unchecked(Frame):
    """A frame that is written as it is."""

    def check(self) -> None:
        """Refuses nothing."""


def frame(payload: bytes, opcode: int = BINARY, *, first: int = 0x80, mask: bool = True) -> bytes:
    """A client's frame. `first`: FIN and reserved bits, any of them."""
    fin, *reserved = (bool(first & bit) for bit in (0x80, 0x40, 0x20, 0x10))
    return _Unchecked(opcode, payload, fin, *reserved).serialize(mask=mask)  # type: ignore[arg-type]  # any opcode


def _wanted(size: int) -> Generator[int, bytes, bytes]:
    return (yield size)


def exchange(method: str, path: str, fields: Headers, body: bytes = b"") -> tuple[h11.Connection, bytes]:
    """(what waits for the answer, the request's bytes). `fields` has the Host."""
    http = h11.Connection(h11.CLIENT)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    headers += [(b"Content-Length", b"%d" % len(body))] if body else []
    sent = http.send(h11.Request(method=method, target=path, headers=headers)) or b""
    announced = {name.lower() for name, _ in headers} & {b"content-length", b"transfer-encoding"}
    if body:
        sent += http.send(h11.Data(body)) or b""
    if body or not announced:
        sent += http.send(h11.EndOfMessage()) or b""
    return http, sent


def _wrong(method: str, path: str = "/", fields: Headers = ()) -> tuple[h11.Connection, bytes]:
    """As `exchange`, for a request that h11 would not send: its answer is read as that of a right one."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return exchange(method, "/", [("Host", ""), *UPGRADE])[0], "\r\n".join(lines).encode("latin-1")


def _first(head: h11.Response | h11.InformationalResponse) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in reversed(list(head.headers))}


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


async def once(where: str, method: str, path: str, headers: Headers = (), **more: Any) -> Answer:
    """One request on a connection of its own."""
    async with peer(where) as connection:
        return await connection.ask(method, path, headers, **more)


async def ask(
    access: Access, path: str, headers: Headers = (), *, method: str = "GET", seconds: float = 5
) -> Answer:
    """One request, and all that comes to the end of the connection, or, when that does not come, within `seconds`."""
    where = urlsplit(access.url)
    proof = [("Authorization", f"Bearer {access.token}")] if access.token else []
    http, sent = exchange(method, path, [("Host", where.netloc), *proof, *headers])
    reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=access.tls)
    said, ended = b"", False
    try:
        writer.write(sent)
        async with asyncio.timeout(seconds):
            with suppress(ConnectionError):
                while part := await reader.read(1 << 16):
                    said += part
        ended = True
    except TimeoutError:
        pass
    finally:
        writer.close()
    http.receive_data(said)
    head = http.next_event()
    assert isinstance(head, h11.Response | h11.InformationalResponse), head
    body = b""
    while isinstance(event := http.next_event(), h11.Data):
        body += event.data
    return Answer(
        head.status_code, _first(head), body + (http.trailing_data[0] if event is h11.PAUSED else b""), ended
    )
