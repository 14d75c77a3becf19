"""Sends HTTP/1.1 requests over a byte stream, one at a time. h11 implements the protocol and does no I/O."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import h11

from gateway.backends.contract import ByteStream, Headers
from gateway.errors import HopFailed

_HEAD = 64 * 1024  # bytes of an answer's head, at most
_PART = 64 * 1024  # bytes of a request's body that are sent at once
_BODILESS = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))  # send no content-length without a body
_HOST = ("host", "localhost")  # a host that kubectl proxy accepts
_SWITCHING = 101


class Cut(HopFailed):
    """Reports that the connection was lost, or that the answer is not HTTP. `unsent`: True if the server cannot have
    acted on the request.
    """

    def __init__(self, why: str, *, unsent: bool) -> None:
        super().__init__("cluster_lost", f"the API server's answer was cut: {why}")
        self.why = why
        self.unsent = unsent


class Request(NamedTuple):
    """Holds a request as it is sent. `headers`: only end-to-end headers, with names in lower case. `upgrade`: the
    protocol that the connection should carry after the answer; empty for none.
    """

    method: str
    path: str
    headers: Headers = ()
    body: bytes | AsyncIterator[bytes] = b""
    upgrade: str = ""


class HttpConnection:
    """Sends requests over `stream`, one after another. Whoever opened the stream closes it when `closed` is set."""

    def __init__(self, stream: ByteStream) -> None:
        self.closed = asyncio.Event()
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        self._unsent = True
        self._broken_off = False  # the sending of a body, by an early answer

    async def request(self, request: Request) -> h11.Response | h11.InformationalResponse:
        """Sends a request and returns the head of its answer; a 101 where the server takes the `upgrade`, after which
        the connection is a `RawStream`'s. An answer that comes before all of the body was sent ends the sending. Raises Cut, HopFailed for a request that breaks HTTP's rules, and what the body raises; drop
        the connection then, and after a cancellation.
        """
        self._unsent = bool(request.body)
        await self._send(_head(request))
        if not request.body:
            await self._send(h11.EndOfMessage())
            return await self._answered()
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send_body(request.body))
                head = await self._answered()
                self._broken_off = not sending.done()
                sending.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return head

    async def part(self) -> tuple[bytes, bool]:
        """Waits for more of the answer's body; see `arrived`."""
        while not any(found := self.arrived()):
            await self._receive()
        return found

    def arrived(self) -> tuple[bytes, bool]:
        """Returns what has come of the answer's body since the last call, perhaps nothing, and whether the body ends
        there. Raises Cut. Not to be called after the body's end.
        """
        parts = []
        while isinstance(event := self._event(), h11.Data):
            parts.append(bytes(event.data))
        return b"".join(parts), event is not None

    def raw(self) -> "RawStream":
        """Returns the byte stream that the connection is after a 101, begun with what came behind the 101."""
        return RawStream(self._stream, self._http.trailing_data[0])

    def reuse(self) -> bool:
        """Prepares the connection for the next request. False if the connection cannot carry another request: an
        answer was not read to its end, or the server or `close` ends the connection.
        """
        if self._broken_off:
            return False
        try:
            if self._http.their_state is h11.SEND_BODY:
                self._http.next_event()  # the end of an empty body, still unread
            self._http.start_next_cycle()
        except h11.ProtocolError:
            return False
        return not (self.closed.is_set() or any(self._http.trailing_data))

    def watch(self, arrived: Callable[[], None] | None) -> None:
        """See `ByteStream.watch`: the server closes an idle connection, or sends data without a request."""
        self._stream.watch(arrived)

    def close(self) -> None:
        """Sets `closed`: whoever opened the stream closes the stream."""
        self.closed.set()

    async def _answered(self) -> h11.Response | h11.InformationalResponse:
        while True:
            event = self._event()
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse) and event.status_code == _SWITCHING:
                return event
            if event is None:
                await self._receive()

    def _event(self) -> h11.Event | None:
        """Returns the answer's next event; None where more has to be received first. Raises Cut."""
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise Cut(str(error), unsent=self._unsent) from None
        return event if isinstance(event, h11.Event) else None

    async def _receive(self) -> None:
        """Waits for bytes of the server, and gives them to h11. Raises Cut."""
        try:
            data = await self._stream.read()
        except HopFailed as error:
            raise Cut(str(error), unsent=self._unsent) from None
        if not data and self._http.their_state is h11.SEND_RESPONSE:
            raise Cut("the server closed the connection", unsent=self._unsent)
        self._http.receive_data(data)

    async def _send_body(self, body: bytes | AsyncIterator[bytes]) -> None:
        self._unsent = False
        if isinstance(body, bytes):
            for at in range(0, len(body), _PART):
                await self._send(h11.Data(data=body[at : at + _PART]))
        else:
            async for part in body:
                await self._send(h11.Data(data=part))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
        except h11.LocalProtocolError as error:
            raise _wrong(error) from None
        if data:
            await self._stream.write(data)


class RawStream:
    """Carries the bytes of a connection that was upgraded. See `ByteStream`."""

    def __init__(self, stream: ByteStream, begun: bytes) -> None:
        self._stream = stream
        self._begun = begun

    async def read(self) -> bytes:
        """See `ByteStream.read`."""
        begun, self._begun = self._begun, b""
        return begun or await self._stream.read()

    async def write(self, data: bytes) -> None:
        """See `ByteStream.write`."""
        await self._stream.write(data)

    def write_eof(self) -> None:
        """See `ByteStream.write_eof`."""
        self._stream.write_eof()

    def watch(self, arrived: Callable[[], None] | None) -> None:
        """See `ByteStream.watch`."""
        self._stream.watch(arrived)


def _head(request: Request) -> h11.Request:
    headers = [_HOST, *(header for header in request.headers if header[0] != "content-length")]
    if request.upgrade:
        headers += [("connection", "Upgrade"), ("upgrade", request.upgrade)]
    lengths = [header for header in request.headers if header[0] == "content-length"]
    if not isinstance(request.body, bytes):
        headers += lengths or [("transfer-encoding", "chunked")]
    elif request.body or request.method not in _BODILESS:
        headers.append(("content-length", str(len(request.body))))
    # a client's bytes as they came: aiohttp has read them so
    lines = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers]
    try:
        return h11.Request(method=request.method, target=request.path, headers=lines)
    except (h11.LocalProtocolError, UnicodeError) as error:
        raise _wrong(error) from None


def _wrong(error: Exception) -> HopFailed:
    return HopFailed("cluster_failed", f"the request cannot be sent: {error}")
