"""An API server behind the gateway's own client that records every byte of a request, and answers as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gateway.backends.kube.api import RelayApi
from gateway.errors import HopFailed

Answer = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """Listens on the Unix socket at `path`, and is its own `Proxy`. `heads`: of all requests but those for the version;
    `open`: connections; `answer`: called with a head, `version` with that of a request for the version; set them before a
    request. `versions`: how many of the latter came.
    """

    age = 0.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heads: list[bytes] = []
        self.open = 0
        self.changed = asyncio.Event()
        self.answer: Answer = ok
        self.version: Answer = ok
        self.versions = 0
        self.silent = False

    async def run(self) -> None:
        """Starts nothing."""
        await asyncio.Event().wait()

    def restart(self) -> None:
        """Keeps running."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Bytes"]:
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            yield Bytes(reader, writer)
        finally:
            writer.close()

    async def until_open(self, count: int, seconds: float = 10.0) -> None:
        """TimeoutError unless so many connections are open within the time."""
        async with asyncio.timeout(seconds):
            while self.open != count:
                self.changed.clear()
                await self.changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count(1)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if self.silent:
                    await reader.read()
                    return
                if head.startswith(b"GET /version "):
                    self.versions += 1
                    await self.version(head, reader, writer)
                    continue
                self.heads.append(head)
                await self.answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._count(-1)
            writer.close()

    def _count(self, change: int) -> None:
        self.open += change
        self.changed.set()


class Watched:
    """What `ByteStream.watch` needs of a stream that only `read` tells about."""

    _watching: asyncio.Task[None] | None = None

    async def read(self) -> bytes:
        """Returns what has arrived, as soon as nobody else reads."""
        if self._watching:
            await asyncio.wait([self._watching])
            self._watching = None
        return await self._read()

    def watch(self, arrived: Callable[[], None] | None) -> None:
        """See `ByteStream`; whoever is called back reads no more."""
        if self._watching:
            self._watching.cancel()
        if arrived:
            self._watching = asyncio.create_task(self._await(arrived))  # noqa: TID251  # a stream has no TaskGroup

    async def _await(self, arrived: Callable[[], None]) -> None:
        with suppress(HopFailed):
            await self._read()
        arrived()

    async def _read(self) -> bytes:
        raise NotImplementedError


class Bytes(Watched):
    """See `ByteStream`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def _read(self) -> bytes:
        return await self._reader.read(65536)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def write_eof(self) -> None:
        self._writer.write_eof()


async def ok(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An empty object."""
    del reader
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


def said(answer: bytes) -> Answer:
    """Answers with these bytes, whatever was asked."""

    async def say(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(answer)
        await writer.drain()

    return say


def say(writer: asyncio.StreamWriter, status: int, body: object) -> None:
    """Writes an answer with an object in JSON."""
    data = json.dumps(body).encode()
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
        status,
        len(data),
    )
    writer.write(head + data)


@asynccontextmanager
async def upstream_at(path: Path) -> AsyncIterator[tuple[Upstream, RelayApi]]:
    """Yields a running upstream, and the gateway's client of it."""
    one = Upstream(path)
    server = await asyncio.start_unix_server(one.serve, path)
    api = RelayApi(one, lambda: None)
    async with server, api.running():
        yield one, api
