"""The connections that are open: what each of them may hold, and for how long. Those that have shown no credential are
counted in anonymous.py.
"""

import asyncio
from collections.abc import Callable

from gateway.access.forwarded import TrustedProxies
from gateway.server.anonymous import Anonymous
from gateway.server.broken_body import end_broken_bodies
from gateway.server.close_once import close_once
from gateway.server.connection import Connection
from gateway.server.drain import cancel_own_wait_alone
from gateway.settings.config import Limits

TICK = 1.0  # seconds between looks at all connections


class Connections:
    """Holds all connections to their limits. `serve` makes the protocol of a connection; `dropped` is told why one was
    dropped. A connection from one of the `proxies` is its client's, while a request of that one is served.
    """

    def __init__(
        self,
        serve: Callable[[], asyncio.Protocol],
        limits: Limits,
        dropped: Callable[[str], None],
        proxies: TrustedProxies,
    ) -> None:
        self.limits = limits
        self.dropped = dropped
        self.proxies = proxies
        self.open: set[Connection] = set()
        self.anonymous = Anonymous(limits)
        self._serve = serve
        cancel_own_wait_alone()
        end_broken_bodies()
        close_once()
        self._messages = 0  # bytes of messages on all WebSockets that no session has taken
        self._timer: asyncio.TimerHandle | None = None

    def accept(self) -> Connection:
        """Returns the protocol of a connection that was accepted."""
        return Connection(self._serve(), self)

    def add(self, connection: "Connection") -> None:
        """Counts a connection. Over TCP it is anonymous; on the Unix socket the kernel says whose it is."""
        self.open.add(connection)
        if connection.address:
            self.anonymous.add(connection)

    def hold_message(self, connection: "Connection", count: int) -> None:
        """Counts bytes of a message that a WebSocket holds from now on, or, where negative, does not hold any longer."""
        connection.message += count
        self._messages += count
        while self._messages > self.limits.messages:
            largest = max(self.open, key=lambda one: one.message)
            self.hold_message(largest, -largest.message)
            largest.drop("half_received", 0, "")

    def watch(self) -> None:
        """Looks at all connections from now on, until `close`."""
        self._timer = asyncio.get_running_loop().call_later(TICK, self.watch)
        for connection in list(self.open):
            connection.check()

    def close(self) -> None:
        """Looks no more."""
        if self._timer:
            self._timer.cancel()
