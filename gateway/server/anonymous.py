"""The connections that have shown no credential. They may hold few connections, and few bytes, for a short time: above a
limit the oldest of them goes, so that whoever has a credential always finds room.
"""

from collections import Counter
from typing import TYPE_CHECKING

from gateway.settings.config import Limits

if TYPE_CHECKING:
    from gateway.server.connection import Connection


class Anonymous:
    """Holds these connections to their limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: dict[Connection, None] = {}  # the oldest first
        self._networks: Counter[str] = Counter()
        self._bytes = 0  # of their unfinished heads

    def add(self, connection: "Connection") -> None:
        """Counts a connection until it is removed."""
        self._open[connection] = None
        self.count_for(connection, connection.origin)
        if len(self._open) > self._limits.anonymous:
            self._drop(next(iter(self._open)))

    def remove(self, connection: "Connection") -> None:
        """Forgets a connection that has shown a good credential or was closed."""
        if connection in self._open:
            self.count_for(connection, "")
            del self._open[connection]
            self._bytes -= connection.head

    def count_for(self, connection: "Connection", network: str) -> None:
        """Counts a connection as one of this network from now on; of none where the name is empty."""
        if connection not in self._open or connection.network == network:
            return
        if was := connection.network:
            self._networks[was] -= 1
            if not self._networks[was]:
                del self._networks[was]
        connection.network = network
        if not network:
            return
        self._networks[network] += 1
        if self._networks[network] > self._limits.anonymous_per_address:
            self._drop(next(one for one in self._open if one.network == network))

    def hold(self, connection: "Connection", count: int) -> None:
        """Counts bytes of a head that a connection holds, or, where negative, does not hold any longer."""
        if connection not in self._open:
            return
        self._bytes += count
        while self._bytes > self._limits.anonymous_bytes:
            self._drop(next(one for one in self._open if one.head))

    def _drop(self, connection: "Connection") -> None:
        self.remove(connection)
        connection.drop("too_many_anonymous", 503, "too many connections without a credential: try again")
