"""Sends one HTTP/1.1 request over a connection and receives its answer. h11 implements the protocol and does no I/O."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11

from gateway.client.curl.failure import EMPTY, PARTIAL, RECEIVE, SEND, UNSUPPORTED, CurlFailed
from gateway.errors import why

_HEAD = 256 * 1024  # bytes of an answer's head, at most
_PART = 64 * 1024

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Body:
    """Holds what a request carries. `parts` begins anew at each call; `length` in bytes, None where nobody knows: then the
    body is sent in chunks. `again`: True if `parts` can be called more than once.
    """

    parts: Callable[[], AsyncIterator[bytes]]
    length: int | None
    again: bool = True


@dataclass(frozen=True)
class Request:
    """Holds a request as it is sent. `target`: path and query; `headers`: all of them but the body's length."""

    method: str
    target: str
    headers: Headers
    body: Body | None = None


@dataclass(frozen=True)
class Reply:
    """Holds the beginning of an answer, and its body as the body arrives; reading the body raises CurlFailed where it is cut.
    `line`: the status line; `headers`: as they were written.
    """

    status: int
    line: str
    headers: Headers
    body: AsyncIterator[bytes] = field(repr=False)

    def header(self, name: str) -> str | None:
        """Returns the first header of that name, None where there is none."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True)
class Connection:
    """Holds a connection to the server, TLS included where the server has it. `early`: bytes that were received already."""

    reader: StreamReader
    writer: StreamWriter
    early: bytes = b""


@asynccontextmanager
async def exchanged(connection: Connection, request: Request) -> AsyncIterator[Reply]:
    """Sends the request and enters with the answer's beginning. An answer that comes before all of the body was sent ends the
    sending. Leaving before the body's end loses the rest. Raises CurlFailed, and what the body raises.
    """
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
    if connection.early:
        http.receive_data(connection.early)
    exchange = _Exchange(http, connection.reader, connection.writer)
    answer = await exchange.ask(request)
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.raw_items()
    ]
    line = f"HTTP/{answer.http_version.decode()} {answer.status_code} {answer.reason.decode('latin-1')}"
    yield Reply(answer.status_code, line.rstrip(), headers, exchange.body())


class _Exchange:
    def __init__(self, http: h11.Connection, reader: StreamReader, writer: StreamWriter) -> None:
        self._http = http
        self._reader = reader
        self._writer = writer
        self._received = bool(http.trailing_data[0])

    async def ask(self, request: Request) -> h11.Response:
        """Sends the request and returns its answer's head. Raises CurlFailed."""
        body = request.body
        length = [] if body is None else [_length(body)]
        try:
            head = h11.Request(
                method=request.method, target=request.target.encode(), headers=[*request.headers, *length]
            )
        except (h11.LocalProtocolError, UnicodeError) as error:
            raise CurlFailed(SEND, f"the request cannot be sent: {error}") from None
        await self._send(head)
        if body is None:
            await self._send(h11.EndOfMessage())
            return await self._answered()
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send_body(body))
                answer = await self._answered()
                sending.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return answer

    async def body(self) -> AsyncIterator[bytes]:
        """Yields the answer's body as it comes. Raises CurlFailed where it is cut."""
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)

    async def _answered(self) -> h11.Response:
        while not isinstance(event := await self._next(), h11.Response):
            if isinstance(event, h11.ConnectionClosed):
                raise CurlFailed(EMPTY, "the server sent no answer")
        return event

    async def _next(self) -> h11.Event:
        """Returns the answer's next event. Raises CurlFailed."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                data = await self._reader.read(_PART)
                self._received = self._received or bool(data)
                self._http.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise self._broken(error) from None
        except (OSError, ssl.SSLError) as error:
            raise CurlFailed(RECEIVE, f"the connection was lost: {why(error)}") from None
        assert isinstance(event, h11.Event)
        return event

    def _broken(self, error: h11.RemoteProtocolError) -> CurlFailed:
        if not self._received:
            return CurlFailed(EMPTY, "the server sent no answer")
        if self._http.their_state is h11.SEND_BODY or "peer closed" in str(error):
            return CurlFailed(PARTIAL, f"the answer was cut: {error}")
        return CurlFailed(UNSUPPORTED, f"the answer is no HTTP/1: {error}")

    async def _send_body(self, body: Body) -> None:
        async for part in body.parts():
            await self._send(h11.Data(data=part))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
        except h11.LocalProtocolError as error:  # a file that became shorter or longer meanwhile
            raise CurlFailed(SEND, f"the request cannot be sent: {error}") from None
        if data:
            self._writer.write(data)
            try:
                await self._writer.drain()
            except OSError:
                return  # whether there is an answer all the same is for who reads


def _length(body: Body) -> tuple[str, str]:
    if body.length is None:
        return ("Transfer-Encoding", "chunked")
    return ("Content-Length", str(body.length))
