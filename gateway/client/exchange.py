"""Sends one HTTP/1.1 request over a connection and receives its answer. h11 implements the protocol and does no I/O."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum

import h11

from gateway.errors import first, why

PART = 64 * 1024  # bytes that are read at once
_HEAD = 256 * 1024  # bytes of an answer's head, at most

Headers = Sequence[tuple[str, str]]


class Fault(Enum):
    """Names what was wrong with an exchange."""

    REQUEST = "the request cannot be sent"
    EMPTY = "no answer came"
    NO_HTTP = "the answer is no HTTP/1"
    CUT = "the answer was cut"
    LOST = "the connection was lost"


class Broken(Exception):  # noqa: N818  # said of an exchange, as HopFailed is of a hop
    """Raised when an exchange cannot go on."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(f"{fault.value}: {reason}")
        self.fault = fault


@dataclass(frozen=True)
class Body:
    """Holds what a request carries. `parts` begins anew at each call; `length` in bytes, None where nobody knows: then the
    body is sent in chunks. `again`: True if `parts` can be called more than once.
    """

    parts: Callable[[], AsyncIterator[bytes]]
    length: int | None
    again: bool = True

    @classmethod
    def of(cls, data: bytes) -> "Body":
        """Returns the body that is these bytes."""
        return cls(lambda: once(data), len(data))


async def once(data: bytes) -> AsyncIterator[bytes]:
    """Yields the bytes, if there are any."""
    if data:
        yield data


@dataclass(frozen=True)
class Request:
    """Holds a request as it is sent. `target`: path and query; `headers`: all of them but the body's length."""

    method: str
    target: str
    headers: Headers
    body: Body | None = None


@dataclass(frozen=True)
class Connection:
    """Holds a connection to a server. `early`: bytes that were received already."""

    reader: StreamReader
    writer: StreamWriter
    early: bytes = b""


class Answering:
    """Holds the beginning of an answer; `parts` is its body."""

    def __init__(self, head: h11.Response, parts: AsyncIterator[bytes]) -> None:
        self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        self.line = f"HTTP/{head.http_version.decode()} {self.status} {self.reason}".rstrip()
        self.headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()
        ]
        self.parts = parts


@asynccontextmanager
async def exchanged(connection: Connection, request: Request) -> AsyncIterator[Answering]:
    """Sends the request and enters with the answer's beginning, while a body that is a stream is still sent; leaving ends
    both. Raises Broken, also where the answer's body is read, and what the request's body raises.
    """
    exchange = _Exchange(connection)
    try:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(exchange.send(request))
            yield Answering(await exchange.head(), exchange.body())
            sending.cancel()
    except BaseExceptionGroup as group:
        raise first(group) from None


class _Exchange:
    def __init__(self, connection: Connection) -> None:
        self._reader, self._writer = connection.reader, connection.writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        self._received = bool(connection.early)
        if connection.early:
            self._http.receive_data(connection.early)

    async def send(self, request: Request) -> None:
        """Sends the request. Raises Broken for one that breaks HTTP's rules."""
        body = request.body
        try:
            head = h11.Request(
                method=request.method,
                target=request.target.encode(),
                headers=[
                    (name.encode(), value.encode()) for name, value in (*request.headers, *_framing(body))
                ],
            )
        except (h11.LocalProtocolError, UnicodeError) as error:
            raise Broken(Fault.REQUEST, str(error)) from None
        await self._send(head)
        if body:
            async for part in body.parts():
                await self._send(h11.Data(data=part))
        await self._send(h11.EndOfMessage())

    async def head(self) -> h11.Response:
        """Returns the answer's head. Raises Broken."""
        while not isinstance(event := await self._next(), h11.Response):
            if isinstance(event, h11.ConnectionClosed):
                raise Broken(Fault.EMPTY, "the connection was closed")
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """Yields the answer's body as it comes. Raises Broken where it is cut."""
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)

    async def _next(self) -> h11.Event:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                data = await self._reader.read(PART)
                self._received = self._received or bool(data)
                self._http.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise Broken(self._fault(str(error)), str(error)) from None
        except OSError as error:
            raise Broken(Fault.LOST, why(error)) from None
        if not isinstance(event, h11.Event):  # h11.PAUSED, after an upgrade that nobody asked for
            raise Broken(Fault.NO_HTTP, "another protocol was begun")
        return event

    def _fault(self, reason: str) -> Fault:
        if not self._received:
            return Fault.EMPTY
        cut = self._http.their_state is h11.SEND_BODY or "peer closed" in reason
        return Fault.CUT if cut else Fault.NO_HTTP

    async def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
        except h11.LocalProtocolError as error:  # a file that became shorter or longer meanwhile
            raise Broken(Fault.REQUEST, str(error)) from None
        if data:
            try:
                self._writer.write(data)
                await self._writer.drain()
            except OSError:
                await asyncio.Event().wait()  # whoever reads the answer says what became of the connection


def _framing(body: Body | None) -> Headers:
    if body is None:
        return ()
    return [("Transfer-Encoding", "chunked") if body.length is None else ("Content-Length", str(body.length))]
