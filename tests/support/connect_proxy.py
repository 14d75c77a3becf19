"""An HTTP proxy that makes one kind of tunnel: to a port of this machine, whatever it is asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from support.cuttable import pump


@asynccontextmanager
async def connect_proxy(port: int) -> AsyncIterator[tuple[int, list[str]]]:
    """Yields its port, and the head of each request so far."""
    asked: list[str] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, ExceptionGroup):
            asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(pump(reader, inner_writer))
                    group.create_task(pump(inner_reader, writer))
            finally:
                inner_writer.close()
        writer.close()

    async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked
