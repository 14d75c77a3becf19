"""Sends requests to the API server over pooled connections, which are reused for later requests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import h11
import structlog

from gateway.backends.contract import ByteStream, Headers
from gateway.backends.kube import answers
from gateway.backends.kube.http_connection import Cut, HttpConnection, Request
from gateway.errors import HopFailed

log = structlog.get_logger()
Dial = Callable[[], AbstractAsyncContextManager[ByteStream]]
REQUESTS = 256  # that may wait for the beginning of an answer; a watch that has begun does not count
KEEP = 60.0  # seconds that an idle connection stays open


class HttpPool:
    """Sends each request over an idle connection, or over a new connection from `dial`. A task of `tasks` holds each
    connection open until it is closed. An idle connection is closed after `keep` seconds. `most`: how many requests may
    wait for the beginning of an answer.
    """

    def __init__(
        self, dial: Dial, tasks: asyncio.TaskGroup, *, keep: float = KEEP, most: int = REQUESTS
    ) -> None:
        self._dial = dial
        self._tasks = tasks
        self._keep = keep
        self._capacity = asyncio.Semaphore(most)
        self._open: set[HttpConnection] = set()
        self._idle: dict[HttpConnection, asyncio.TimerHandle] = {}  # with what closes it after `keep` seconds
        self._closed = False

    async def request(self, request: Request, *, fresh: bool = False) -> "PooledResponse":
        """Sends a request, on a new connection if `fresh`, and returns the answer, which the caller closes. Sends the
        request again on a new connection where an idle connection was cut and a repetition is safe. Waits while
        `most` requests wait for an answer. Raises HopFailed; Cut, where the connection was lost before an answer began.
        """
        async with self._capacity:
            self._check_open()
            if not fresh and (idle := self._take()):
                try:
                    return await self._send(request, idle)
                except Cut as cut:  # the server may have just closed the idle connection
                    if not (cut.unsent or request.method in ("GET", "HEAD")) or not isinstance(
                        request.body, bytes
                    ):
                        raise
            return await self._send(request, await self._connect())

    async def _send(self, request: Request, connection: HttpConnection) -> "PooledResponse":
        try:
            return PooledResponse(await connection.request(request), connection, self._release)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Closes all connections and cuts the requests on them; later requests raise HopFailed."""
        self._closed = True
        self.close_idle()
        for connection in self._open:
            connection.close()

    def close_idle(self) -> None:
        """Closes the idle connections: the next request opens a new connection."""
        for connection in list(self._idle):
            self._drop(connection)

    def _check_open(self) -> None:
        if self._closed:
            raise HopFailed("cluster_lost", "the gateway closes its connections to the API server")

    def _release(self, connection: HttpConnection) -> None:
        if not connection.reuse() or self._closed:
            connection.close()
            return
        drop = partial(self._drop, connection)
        self._idle[connection] = asyncio.get_running_loop().call_later(self._keep, drop)
        connection.watch(drop)

    def _take(self) -> HttpConnection | None:
        """Removes the idle connection that was used last from the pool and returns the connection; None where no
        connection is idle.
        """
        if not self._idle:
            return None
        connection, timer = self._idle.popitem()
        timer.cancel()
        connection.watch(None)
        return connection

    def _drop(self, connection: HttpConnection) -> None:
        """Closes an idle connection, which is not to be used any more."""
        self._idle.pop(connection).cancel()
        connection.watch(None)
        connection.close()

    async def _connect(self) -> HttpConnection:
        opened: asyncio.Future[HttpConnection] = asyncio.get_running_loop().create_future()
        carrier = self._tasks.create_task(self._carry(opened))
        try:
            return await opened
        except asyncio.CancelledError:
            carrier.cancel()
            raise

    async def _carry(self, opened: "asyncio.Future[HttpConnection]") -> None:
        try:
            async with self._dial() as stream:
                if opened.done():  # the caller was cancelled; `carrier.cancel` comes a turn of the loop later
                    return
                self._check_open()
                connection = HttpConnection(stream)
                self._open.add(connection)
                try:
                    opened.set_result(connection)
                    await connection.closed.wait()
                finally:
                    self._open.discard(connection)
        except Exception as error:
            if not isinstance(error, HopFailed):  # the other connections and the gateway go on
                log.exception("connection_defect")
                error = HopFailed("gateway_error", f"a defect: {type(error).__name__}")
            if not opened.done():
                opened.set_exception(error)


class PooledResponse:
    """Holds the head of an answer and yields its body when iterated, see `Response.body`. Names of headers are in lower
    case. Reading the body raises Cut where the connection is lost. `stream`: the connection itself after a 101.
    """

    def __init__(
        self,
        head: h11.Response | h11.InformationalResponse,
        connection: HttpConnection,
        release: Callable[[HttpConnection], None],
    ) -> None:
        self.status = head.status_code
        self.stream = connection.raw() if isinstance(head, h11.InformationalResponse) else None
        headers = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
        self.headers: Headers = answers.end_to_end(headers)
        self._connection = connection
        self._release = release
        self._begun = False
        self.ended = False  # see `Response.ended`

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.ended:
            raise StopAsyncIteration
        part, self.ended = await self._connection.part() if self._begun else self._connection.arrived()
        self._begun = True
        return part

    def close(self) -> None:
        """Returns the connection to the pool if all of the answer was read, else closes the connection. Call once."""
        self.ended = True  # the connection may be another request's now
        self._release(self._connection)
