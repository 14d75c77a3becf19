"""Sends single HTTP requests to the gateway whose bodies are streams both ways, each on a connection of its own: what is
cancelled ends, and nothing waits for another's reader.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

from gateway import __version__
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import LOST, UNREACHABLE, GatewayFailed, first
from gateway.client.reach import trust
from gateway.client.websocket import OPEN, explained, notice_loss, socket_to
from gateway.errors import why

PART = 64 * 1024  # bytes that are read at once

Headers = Sequence[tuple[str, str]]
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Answer:
    """Holds the answer to a request. `headers`: with names in lower case. `body`: its bytes as they come, which raise
    GatewayFailed where the connection is lost before their end.
    """

    status: int
    headers: Headers
    body: AsyncIterator[bytes]
    reason: str = ""

    def header(self, name: str) -> str:
        """Returns the first header of that name, which is in lower case; empty where there is none."""
        return next((value for known, value in self.headers if known == name), "")

    async def read(self, limit: int) -> bytes:
        """Returns the body up to its end, or its first `limit` bytes and a little more. Raises GatewayFailed."""
        body = bytearray()
        async for part in self.body:
            body += part
            if len(body) >= limit:
                break
        return bytes(body)


@asynccontextmanager
async def dialled(endpoint: Endpoint) -> AsyncIterator[Pair]:
    """Connects to the gateway, with TLS where its URL says so; leaving aborts the connection. Raises GatewayFailed."""
    with explained(endpoint):
        async with asyncio.timeout(OPEN):
            reader, writer = await _connect(endpoint)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _connect(endpoint: Endpoint) -> Pair:
    sock, context = await socket_to(endpoint), trust(endpoint)
    name = urlsplit(endpoint.url).hostname if context else None
    reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name)
    notice_loss(writer.transport)
    return reader, writer


@asynccontextmanager
async def requested(
    endpoint: Endpoint, method: str, path: str, headers: Headers = (), body: bytes | AsyncIterable[bytes] = b"",
    *, seconds: float | None = None,
) -> AsyncIterator[Answer]:  # fmt: skip
    """Sends a request and enters once the head of the answer is there, while a `body` that is a stream is still sent;
    leaving ends both. `seconds`: for the head to come; None: for ever. Raises GatewayFailed, and what the stream raises.
    """
    async with dialled(endpoint) as (reader, writer):
        exchange = _Exchange(endpoint, reader, writer)
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(exchange.send(method, path, headers, body))
                head = await _within(exchange.head(), seconds, endpoint)
                names = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers]
                yield Answer(head.status_code, names, exchange.body(), head.reason.decode("latin-1"))
                sending.cancel()
        except BaseExceptionGroup as group:
            raise first(group) from None


async def _within(
    head: Coroutine[None, None, h11.Response], seconds: float | None, endpoint: Endpoint
) -> h11.Response:
    try:
        async with asyncio.timeout(seconds):
            return await head
    except TimeoutError:
        message = f"no answer from the gateway at {endpoint} within {seconds:g} s"
        raise GatewayFailed(UNREACHABLE, message, passing=True) from None


class _Exchange:
    """Speaks HTTP/1.1 on one connection, for one request."""

    def __init__(
        self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._endpoint = endpoint
        self._reader, self._writer = reader, writer
        self._http1 = h11.Connection(h11.CLIENT)

    async def send(
        self, method: str, path: str, headers: Headers, body: bytes | AsyncIterable[bytes]
    ) -> None:
        """Sends the request. An answer that comes before the end of the body ends the sending, not the request."""
        url = urlsplit(self._endpoint.url)
        streams = not isinstance(body, bytes)
        framing = ("Transfer-Encoding", "chunked") if streams else ("Content-Length", str(len(body)))  # type: ignore[arg-type]
        given = {name.lower() for name, _ in headers}
        ours = [
            ("Host", url.netloc), *({"User-Agent": f"dap/{__version__}"}.items() if "user-agent" not in given else ()),
            *([framing] if body or method in ("POST", "PUT", "PATCH") else []),
            *self._endpoint.headers.items(), ("Connection", "close"),
        ]  # fmt: skip
        request = h11.Request(method=method, target=url.path + path, headers=[*ours, *headers])
        await self._write(self._http1.send(request))
        if isinstance(body, bytes):
            await self._write(self._http1.send(h11.Data(data=body)) if body else b"")
        else:
            async for part in body:
                await self._write(self._http1.send(h11.Data(data=part)) if part else b"")
        await self._write(self._http1.send(h11.EndOfMessage()))

    async def head(self) -> h11.Response:
        """Returns the answer's head. Raises GatewayFailed."""
        try:
            while not isinstance(event := await self._next(), h11.Response):
                pass
        except (OSError, h11.RemoteProtocolError) as error:
            message = f"no answer from the gateway at {self._endpoint}: {why(error)}"
            raise GatewayFailed(UNREACHABLE, message, passing=True) from None
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """Yields the body's parts. Raises GatewayFailed."""
        try:
            while isinstance(event := await self._next(), h11.Data):
                yield bytes(event.data)
        except (OSError, h11.RemoteProtocolError):
            raise GatewayFailed(LOST, "the answer was cut before its end", passing=True) from None

    async def _write(self, data: bytes | None) -> None:
        try:
            self._writer.write(data or b"")
            await self._writer.drain()
        except OSError:
            await asyncio.Event().wait()  # whoever reads the answer says what became of the connection

    async def _next(self) -> h11.Event:
        while (event := self._http1.next_event()) is h11.NEED_DATA:
            self._http1.receive_data(await self._reader.read(PART))
        if not isinstance(event, h11.Event):
            raise h11.RemoteProtocolError("the connection was closed")
        return event
