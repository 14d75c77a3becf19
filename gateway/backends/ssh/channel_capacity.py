"""Learns how many channels a connection may have: 8 at most, fewer after the host has refused a channel, and, since a
refusal may be temporary, more again after a while.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

CHANNELS = 8  # channels: sshd's MaxSessions is 10
GROW = 15.0  # seconds until one channel more than the learned limit is tried
_REST = 0.1  # seconds, doubled each time: sshd frees a session some time after its channel is closed
_MOST_REST = 5.0


class Connection(Protocol):
    """What the pool needs of a connection. `channels`: the pool's count of channels, opened or being opened;
    `opened`: channels that the far side has opened and not closed; `room`: how many channels the connection may have;
    with `room` 0 the pool closes the connection after its last channel. `wait_answer` sends a ping and waits for its
    answer, or for the loss of the connection; it never raises.
    """

    channels: int
    room: int
    lost: asyncio.Event

    @property
    def opened(self) -> int: ...
    def close(self) -> None: ...
    async def wait_closed(self) -> None: ...
    async def wait_answer(self) -> None: ...


C = TypeVar("C", bound=Connection)


class ChannelCapacity(Generic[C]):
    """The learned capacity of one connection. `proven`: the most channels that it had at the same time; `doubted`: True
    while the connection may be dead and gets no new channel.
    """

    def __init__(self, connection: C, usual: int, clock: Callable[[], float]) -> None:
        self.proven = 0
        self.doubted = False
        self._idle_since: float | None = None
        self._connection = connection
        self._clock = clock
        self._most = connection.room
        self._grows = clock() + GROW
        self._rests_until = 0.0
        self._next_rest = _REST
        connection.room = min(connection.room, usual)

    @property
    def rest(self) -> float:
        """The seconds for which the connection gets no new channel, even with capacity left; 0 or less: none."""
        return self._rests_until - self._clock()

    def idle(self) -> float:
        """Returns for how many seconds the connection has had no channel, counted from the first call that saw no
        channel.
        """
        now = self._clock()
        self._idle_since = None if self._connection.channels else self._idle_since or now
        return now - (self._idle_since or now)

    def free(self) -> bool:
        """Returns True if one more channel may be opened on the connection. May raise `room` by one, to try a larger
        limit.
        """
        connection = self._connection
        if self.doubted or self.rest > 0:
            return False
        if connection.room == connection.channels and 0 < connection.room < self._most and self._grown():
            connection.room += 1
            self._grows = self._clock() + GROW
        return connection.channels < connection.room

    def channel_opened(self) -> None:
        """Records that the host opened one more channel."""
        connection = self._connection
        self.proven = max(self.proven, connection.opened)
        self._next_rest = _REST
        if connection.room:
            connection.room = max(connection.room, self.proven)

    def channel_refused(self) -> bool:
        """Records that the host opened no further channel. Returns True if the refusal shows a new limit: where the
        connection once had more channels, the host is only slow, and the connection rests.
        """
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
