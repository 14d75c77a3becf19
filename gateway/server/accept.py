"""Where connections come in. The last file descriptors are for the sessions that live: a connection that would take one
of them is dropped as it comes, long after new sessions were refused.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from socket import socket
from typing import cast

from gateway import fd_limits
from gateway.protocol.outcome import CODES
from gateway.protocol.status import failure

RESERVE = fd_limits.RESERVE // 2  # descriptors, besides what the sessions may open
_CODE = CODES["out_of_files"]
_BODY = failure(_CODE.http, _CODE.meaning).json(http=True)
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    % len(_BODY)
)


@asynccontextmanager
async def doors(
    sockets: Iterable[socket], serve: Callable[[], asyncio.Protocol], sessions: Callable[[], int]
) -> AsyncIterator[None]:
    """Listens for as long as the block runs. `serve` makes the protocol of a connection; `sessions`: how many live."""

    def admit() -> asyncio.Protocol:
        return serve() if fd_limits.room(sessions(), RESERVE) else _Full()

    async with AsyncExitStack() as stack:
        for bound in sockets:
            server = await asyncio.get_running_loop().create_server(admit, sock=bound)
            stack.callback(server.close)
        yield


class _Full(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is read, so that the answer may get lost; its descriptor counts."""
        transport = cast("asyncio.Transport", transport)
        transport.write(_ANSWER + b"Connection: close\r\n\r\n" + _BODY)
        transport.close()
