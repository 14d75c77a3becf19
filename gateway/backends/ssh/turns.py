"""Keeps the callers that wait for a connection in their order."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from gateway.errors import HopFailed

_FOREVER = 1e6  # seconds
C = TypeVar("C")


class Turns(Generic[C]):
    """A queue of callers, each with a future that gets a connection or an error. `len`: callers that still wait."""

    def __init__(self) -> None:
        self._queue: deque[asyncio.Future[C]] = deque()

    def __len__(self) -> int:
        return sum(not turn.done() for turn in self._queue)

    def __bool__(self) -> bool:
        return self.next() is not None

    def join(self, *, first: bool) -> asyncio.Future[C]:
        """Returns the future of a new caller, before all others if `first`."""
        turn: asyncio.Future[C] = asyncio.get_running_loop().create_future()
        (self._queue.appendleft if first else self._queue.append)(turn)
        return turn

    async def wait(
        self,
        turn: asyncio.Future[C],
        until: float,
        clock: Callable[[], float],
        late: Callable[[], HopFailed],
    ) -> None:
        """Waits until a caller is served or refused. Raises what `late` returns where `clock`, which may stand still,
        shows `until` before.
        """
        while not turn.done():
            left = until - clock()
            if left <= 0:
                raise late()
            await asyncio.wait({turn}, timeout=max(left, 0.1) if left < _FOREVER else None)

    def leave(self, turn: asyncio.Future[C]) -> None:
        """Removes a caller, who may have been served."""
        turn.cancel()
        with suppress(ValueError):
            self._queue.remove(turn)

    def next(self) -> asyncio.Future[C] | None:
        """Returns the future of the caller that is to be served next; None where nobody waits."""
        while self._queue and self._queue[0].done():
            self._queue.popleft()
        return self._queue[0] if self._queue else None

    def refuse(self, error: HopFailed) -> None:
        """Gives `error` to all who wait."""
        for turn in self._queue:
            if not turn.done():
                turn.set_exception(error)
