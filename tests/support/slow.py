"""A client that does not read for a while."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from support.exec_client import Access, Request, open_

from gateway.protocol.status import Status
from gateway.protocol.subprotocols import V5


@asynccontextmanager
async def slow_reader(
    access: Access, request: Request, pause: float
) -> AsyncIterator[Callable[[], Awaitable[tuple[int, int | None]]]]:
    """`await read()`: reads one message, pauses, reads the rest; (bytes of stdout, exit code)."""
    async with open_(access, request.path(), (V5.name,), max_queue=1) as connection:

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
