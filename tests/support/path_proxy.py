"""A proxy under whose path a gateway stands, as `location /tools/dap/ { proxy_pass http://…/; }` makes one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


@asynccontextmanager
async def below(path: str, url: str) -> AsyncIterator[str]:
    """Yields the URL below which `url` is found; what is asked elsewhere is not found. `path` begins and ends with /."""
    upstream = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, rest = head.split(b" ", 2)
            if target.startswith(path.encode()):
                if b"\r\nupgrade:" not in head.lower():  # one request for each connection
                    rest = rest.replace(b"keep-alive", b"close")
                inside, outside = await asyncio.open_connection(upstream.hostname, upstream.port)
                outside.write(b" ".join((method, target[len(path) - 1 :], rest)))
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_pump(reader, outside))
                    tasks.create_task(_pump(inside, writer))
            else:
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path.rstrip('/')}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
    finally:  # also where the other side was reset, or the proxy ends
        writer.close()
