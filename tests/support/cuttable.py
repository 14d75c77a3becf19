"""A TCP forwarder whose connections can be cut, at once and on both sides, and refused for a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Cuttable:
    """`port` on 127.0.0.1. `broken`: new connections are closed at once. `frozen`: bytes stand still."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.broken = False
        self.cuts = 0
        self._host, self._to = host, port
        self._moving = asyncio.Event()
        self._moving.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def cut(self) -> None:
        """RST to both sides of all connections."""
        self.cuts += 1
        for writer in list(self._writers):
            writer.transport.abort()

    def freeze(self, *, on: bool = True) -> None:
        """What was read is not passed on until it thaws."""
        self._moving.clear() if on else self._moving.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.broken:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection(self._host, self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there[1]}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._move(reader, there[1]))
                tasks.create_task(self._move(there[0], writer))
        finally:
            for one in (writer, there[1]):
                self._writers.discard(one)
                one.transport.abort()

    async def _move(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._moving.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort() if not writer.can_write_eof() else writer.close()


@asynccontextmanager
async def cuttable(host: str, port: int) -> AsyncIterator[Cuttable]:
    """On leaving everything is cut."""
    one = Cuttable(host, port)
    server = await asyncio.start_server(one._serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        one.freeze(on=False)
        one.cut()
        await asyncio.sleep(0.05)
