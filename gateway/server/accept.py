"""Where connections come in. The last file descriptors are for the sessions that live: a connection that would take one
of them is dropped as it comes, long after new sessions were refused.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from socket import socket
from typing import Protocol, cast

from gateway import fd_limits
from gateway.protocol.outcome import CODES
from gateway.server.connection import answer
from gateway.server.connections import Connections
from gateway.server.tls import TlsListener

RESERVE = fd_limits.RESERVE // 2  # descriptors, besides what the sessions may open
FRESH = 1.0  # seconds that a look at the descriptors may be old: among 10,000 of them it takes 10 ms
_CODE = CODES["out_of_files"]


class Accept(Protocol):
    """Takes connections on one more socket, with TLS where `tls` says how."""

    async def __call__(self, bound: socket, tls: TlsListener | None = None) -> asyncio.Server:
        """Returns the server of the socket."""
        ...


@asynccontextmanager
async def doors(
    sockets: Iterable[socket], connections: Connections, sessions: Callable[[], int]
) -> AsyncIterator[Accept]:
    """Listens for as long as the block runs. `sessions`: how many live. Yields what listens on one more socket."""
    used = _Used(connections)

    def admit(tls: TlsListener | None) -> asyncio.BaseProtocol:
        if not fd_limits.room(sessions(), RESERVE, used):
            return _Full(answers=tls is None)
        return tls.protocol(connections.accept()) if tls else connections.accept()

    async with AsyncExitStack() as stack:

        async def accept(bound: socket, tls: TlsListener | None = None) -> asyncio.Server:
            server = await asyncio.get_running_loop().create_server(partial(admit, tls), sock=bound)
            stack.callback(server.close)
            return server

        for bound in sockets:
            await accept(bound)
        connections.watch()
        stack.callback(connections.close)
        yield accept


class _Used:
    """Descriptors that are open: those of the last look, and the connections that were accepted since."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._at = float("-inf")
        self._others = 0

    def __call__(self) -> int:
        now, ours = time.monotonic(), len(self._connections.open)
        if now - self._at >= FRESH:
            self._others = fd_limits.used() - ours
            self._at = now
        return self._others + ours


class _Full(asyncio.Protocol):
    def __init__(self, *, answers: bool) -> None:
        self._answers = answers  # False: the client would take a plain answer for a broken handshake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answers 503 and closes without reading, so that the answer may get lost: the connection's descriptor
        counts.
        """
        transport = cast("asyncio.Transport", transport)
        if self._answers:
            transport.write(answer(_CODE.http, _CODE.meaning))
        transport.close()
