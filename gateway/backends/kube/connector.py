"""aiohttp's connections as streams of a relay's link."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog
from aiohttp import BaseConnector, ClientRequest, ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from gateway.backends.contract import ByteStream
from gateway.errors import HopFailed

log = structlog.get_logger()
Dial = Callable[[], AbstractAsyncContextManager[ByteStream]]
_CONNECTIONS = 256  # at the same time, watches among them
_KEEP = 60.0  # seconds that a connection waits for its next request
_HIGH_WATER = 256 * 1024  # bytes of a request that may wait


class RelayConnector(BaseConnector):
    """Every connection is dialled with `dial` and carried by a task of `tasks`, until one of its sides closes it."""

    def __init__(self, dial: Dial, tasks: asyncio.TaskGroup) -> None:
        super().__init__(limit=_CONNECTIONS, keepalive_timeout=_KEEP)
        self._dial = dial
        self._tasks = tasks

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109  # aiohttp's
    ) -> ResponseHandler:
        """Raises HopFailed. The time is the request's own."""
        del req, traces, timeout
        opened: asyncio.Future[ResponseHandler] = self._loop.create_future()
        carrier = self._tasks.create_task(self._carry(opened))
        try:
            return await opened
        except asyncio.CancelledError:
            carrier.cancel()
            raise

    async def _carry(self, opened: asyncio.Future[ResponseHandler]) -> None:
        try:
            async with self._dial() as stream:
                if opened.done():  # who asked has gone, and its `cancel` comes a turn of the loop later
                    return
                protocol = self._factory()
                transport = StreamTransport(stream, protocol)
                protocol.connection_made(transport)
                opened.set_result(protocol)
                await transport.run()
        except Exception as error:
            if not isinstance(error, HopFailed):  # it must not end the other connections, nor the gateway
                log.exception("connection_defect")
                error = HopFailed("gateway_error", f"a defect: {type(error).__name__}")
            if not opened.done():
                opened.set_exception(error)


class StreamTransport(asyncio.Transport):
    """A byte stream as asyncio's protocols know it. `run` moves the bytes."""

    def __init__(self, stream: ByteStream, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._stream = stream
        self._protocol = protocol
        self._unsent = bytearray()
        self._paused = False  # the protocol was told to wait
        self._closing = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._has_data = asyncio.Event()

    async def run(self) -> None:
        """Until one of both has closed it, or it is lost; the protocol is told."""
        error: OSError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                jobs = [tasks.create_task(job) for job in (self._read(), self._write())]
                await self._closing.wait()
                for job in jobs:
                    job.cancel()
        except* HopFailed as group:
            error = ConnectionResetError(str(group.exceptions[0]))  # what aiohttp knows as a lost connection
        except* Exception:
            error = ConnectionResetError("a defect")
            raise
        finally:
            self._closing.set()
            self._protocol.connection_lost(error)

    async def _read(self) -> None:
        while data := await self._stream.read():
            await self._may_read.wait()
            self._protocol.data_received(data)
        self._protocol.eof_received()
        self._closing.set()

    async def _write(self) -> None:
        while True:
            await self._has_data.wait()
            self._has_data.clear()
            data, self._unsent = bytes(self._unsent), bytearray()
            await self._stream.write(data)
            if self._paused:
                self._paused = False
                self._protocol.resume_writing()

    # what a protocol calls
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._unsent += data
        self._has_data.set()
        if len(self._unsent) > _HIGH_WATER and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def pause_reading(self) -> None:
        self._may_read.clear()

    def resume_reading(self) -> None:
        self._may_read.set()

    def is_closing(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        self._closing.set()

    abort = close
