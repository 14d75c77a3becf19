"""A TCP forwarder whose connections can be cut on both sides, frozen, and refused for a while."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_LOOPBACK = "127.0.0.1"


class Cuttable:
    """`port` on 127.0.0.1. `broken`: new connections are closed at once. `connections` and `cuts` count."""

    def __init__(self, port: int, host: str = _LOOPBACK) -> None:
        self.port = 0
        self.broken = False
        self.connections = self.cuts = 0
        self._host, self._to = host, port
        self._first = port
        self._moving = asyncio.Event()
        self._moving.set()
        self._frozen: list[asyncio.Event] = []
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """RST to both sides of all connections."""
        self.cuts += 1
        for writer in list(self._writers):
            writer.transport.abort()

    def leads_to(self, port: int) -> None:
        """New connections go there; those that exist stay where they are."""
        self._to = port

    def leads_back(self) -> None:
        """New connections go where they went at first."""
        self._to = self._first

    def freeze(self) -> None:
        """What was read is not passed on until it thaws."""
        self._moving.clear()

    def moving_for_new_connections(self) -> None:
        """What is frozen stays so until it thaws; the next connections pass bytes."""
        self._frozen.append(self._moving)
        self._moving = asyncio.Event()
        self._moving.set()

    def thaw(self) -> None:
        """Bytes pass again."""
        for moving in self._frozen:
            moving.set()
        self._moving.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection until either side ends or it is cut."""
        self.connections += 1
        if self.broken:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection(self._host, self._to)
        except OSError:
            writer.transport.abort()
            return
        ours = {writer, there[1]}
        self._writers |= ours
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pump(reader, there[1], self._moving))
                tasks.create_task(pump(there[0], writer, self._moving))
        finally:
            self._writers -= ours
            for one in ours:
                with suppress(AttributeError):  # Python before 3.11.4, of one with TLS that was closed twice
                    one.transport.abort()


async def pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moving: asyncio.Event | None = None
) -> None:
    """Passes bytes on, while `moving` is set, to the end of either side; then both have ended."""
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            if moving:
                await moving.wait()
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def cuttable(
    port: int,
    host: str = _LOOPBACK,
    *,
    listening: socket.socket | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Cuttable]:
    """A forwarder to that port. `listening`: a socket to accept on; `tls`: what clients speak. On leaving everything is
    cut.
    """
    one = Cuttable(port, host)
    place = {"sock": listening} if listening else {"host": _LOOPBACK, "port": 0}
    server = await asyncio.start_server(one.accept, ssl=tls, **place)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        one.thaw()
        one.cut()
        await asyncio.sleep(0.02)  # for `accept` to end
