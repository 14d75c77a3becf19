"""How many channels a connection has room for: 8 at most, fewer where the host opens no more, and, since that may have
been only for a moment, more again after a while.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

CHANNELS = 8  # channels: sshd's MaxSessions is 10
GROW = 15.0  # seconds until one more than the host is known to open is tried
_REST = 0.1  # seconds, doubled each time: sshd frees a session some time after its channel is closed
_MOST_REST = 5.0


class Connection(Protocol):
    """What the pool needs of a connection. `channels`: the pool's count of what may be open; `opened`: what the far
    side has opened and not closed; `room`: channels that it may have, without any it is closed after its last one.
    """

    channels: int
    room: int
    lost: asyncio.Event

    @property
    def opened(self) -> int: ...
    def close(self) -> None: ...
    async def wait_closed(self) -> None: ...


C = TypeVar("C", bound=Connection)


class ChannelCapacity(Generic[C]):
    """What was learned of one connection. `proven`: channels that it once had at the same time."""

    def __init__(self, connection: C, usual: int, clock: Callable[[], float]) -> None:
        self.proven = 0
        self.idle_since: float | None = None
        self._connection = connection
        self._clock = clock
        self._most = connection.room
        self._grows = clock() + GROW
        self._rests_until = 0.0
        self._next_rest = _REST
        connection.room = min(connection.room, usual)

    @property
    def rest(self) -> float:
        """Seconds until it gets its next channel, room or not."""
        return self._rests_until - self._clock()

    def free(self) -> bool:
        """One more channel may be opened on it."""
        connection = self._connection
        if self.rest > 0:
            return False
        if connection.room == connection.channels and 0 < connection.room < self._most and self._grown():
            connection.room += 1
            self._grows = self._clock() + GROW
        return connection.channels < connection.room

    def took(self) -> None:
        """One more was opened."""
        connection = self._connection
        self.proven = max(self.proven, connection.opened)
        self._next_rest = _REST
        if connection.room:
            connection.room = max(connection.room, self.proven)

    def full(self) -> bool:
        """One was not opened. Whether that says how much room there is: not where there was more before."""
        connection = self._connection
        if connection.opened < self.proven:
            self._rests_until = self._clock() + self._next_rest
            self._next_rest = min(self._next_rest * 2, _MOST_REST)
            return False
        connection.room = min(connection.room, connection.channels - 1)  # the others may be opened yet
        self._grows = self._clock() + GROW
        return True

    def _grown(self) -> bool:
        return self._clock() >= self._grows
