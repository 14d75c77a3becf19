"""A client that does not read for a while."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from support.exec_client import Access, Request
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway.protocol.status import Status
from gateway.protocol.subprotocols import V5

LIMIT = 60.0  # seconds for a connection


@asynccontextmanager
async def slow_reader(
    access: Access, request: Request, pause: float
) -> AsyncIterator[Callable[[], Awaitable[tuple[int, int | None]]]]:
    """`await read()`: reads one message, pauses, reads the rest; (bytes of stdout, exit code)."""
    async with connect(
        access.url.replace("http", "ws", 1) + request.path(),
        subprotocols=[Subprotocol(V5.name)],
        additional_headers={"Authorization": f"Bearer {access.token}"},
        compression=None,
        max_size=None,
        max_queue=1,
        ping_interval=None,
        open_timeout=LIMIT,
        proxy=None,
    ) as connection:

        async def read() -> tuple[int, int | None]:
            got, status = 0, None
            first = True
            async for payload in connection:
                assert isinstance(payload, bytes)
                if payload[0] == 1:
                    got += len(payload) - 1
                elif payload[0] == 3:
                    status = Status.parse(payload[1:])
                if first and len(payload) > 1:
                    first = False
                    await asyncio.sleep(pause)
            return got, status.exit_code if status else None

        yield read
