"""Which connection gets the next channel: at most 8 each, a new one when all are full, one kept warm.

Few logins at a time (sshd's MaxStartups), and none for a while after refusals (PerSourcePenalties). Knows nothing of
SSH: a connection is what `dial` returns.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Generic, Protocol, TypeVar, cast

from gateway.errors import HopFailed

DIALS = 4  # logins at the same time
REFUSALS = 3  # in a row open the breaker
PAUSE = 60.0  # seconds that it stays open
IDLE = 60.0  # seconds after which an unused connection beyond the first is closed
_TICK = 10.0  # seconds between looks at idle connections
_BACKOFF = (1.0, 2.0, 5.0, 10.0, 15.0)  # seconds between attempts to keep one warm


class Connection(Protocol):
    """What the pool needs of a connection. `room`: channels that it may have; without any it is closed
    after its last one.
    """

    channels: int
    room: int
    lost: asyncio.Event

    def close(self) -> None: ...
    async def wait_closed(self) -> None: ...


C = TypeVar("C", bound=Connection)


class Pool(Generic[C]):
    """Works inside `async with pool.running():`, where its tasks live."""

    def __init__(self, dial: Callable[[], Awaitable[C]], clock: Callable[[], float] = time.monotonic) -> None:
        self._dial = dial
        self._clock = clock
        self._open: list[C] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._dials: set[asyncio.Task[None]] = set()
        self._refusals = 0
        self._broken_until = 0.0
        self._refusal: HopFailed | None = None
        self._idle_since: dict[C, float] = {}
        self._tasks: asyncio.TaskGroup

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On leaving, every connection is closed and no task is left."""
        async with asyncio.TaskGroup() as self._tasks:
            keeper = self._tasks.create_task(self._keep_warm())
            try:
                yield
            finally:
                keeper.cancel()
                for dial in self._dials:
                    dial.cancel()
                self._dials.clear()
                self._tell(HopFailed("shutdown", "the gateway is being stopped"))
                for connection in self._open:
                    connection.close()
                for connection in self._open:
                    await connection.wait_closed()
                self._open.clear()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[C]:
        """A connection with room for one more channel, counted until the block is left. Waits for a login where none
        has; raises HopFailed when that fails, or at once while the breaker is open. Cancelling is safe.
        """
        connection = await self._acquire()
        try:
            yield connection
        finally:
            connection.channels -= 1
            if not connection.room and not connection.channels:
                connection.close()
            self._wake(1)

    def counts(self) -> dict[str, int]:
        """For metrics."""
        return {
            "connections": len(self._open),
            "channels": sum(connection.channels for connection in self._open),
            "logins": len(self._dials),
            "waiting": len(self._waiting),
            "breaker_open": int(self._clock() < self._broken_until),
        }

    async def _acquire(self) -> C:
        while True:
            self._forget_lost()
            for connection in self._open:
                if connection.channels < connection.room:
                    connection.channels += 1
                    self._idle_since.pop(connection, None)
                    return connection
            self._refuse_while_broken()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            self._start_dials()
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and not waiter.exception():
                    self._wake(1)  # the turn was ours: pass it on
                raise
            finally:
                with suppress(ValueError):
                    self._waiting.remove(waiter)

    def _start_dials(self) -> None:
        needed = -(-sum(not waiter.done() for waiter in self._waiting) // 8)
        while len(self._dials) < min(needed, DIALS):
            self._start_dial()

    def _start_dial(self) -> None:
        self._dials.add(self._tasks.create_task(self._login()))

    async def _login(self) -> None:
        error: HopFailed | None = None
        try:
            connection = await self._dial()
        except HopFailed as failed:
            error = failed
        except Exception as defect:  # noqa: BLE001  # in one login: it must not end the others' sessions
            text = f"login failed unexpectedly: {type(defect).__name__}: {defect}"
            error = HopFailed("gateway_error", text)
        finally:  # at once: several may end in the same moment, and each must know whether it is the last
            self._dials.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if error:
            self._failed(error)
        else:
            self._refusals = 0
            self._open.append(connection)
            self._wake(connection.room)
            self._start_dials()

    def _failed(self, error: HopFailed) -> None:
        if error.code in ("ssh_refused", "ssh_host_key"):
            self._refusals += 1
            self._refusal = error
            if self._refusals >= REFUSALS:
                self._broken_until = self._clock() + PAUSE
        if not self._dials:  # no other login may still serve them
            self._tell(error)

    def _tell(self, error: HopFailed) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)

    def _refuse_while_broken(self) -> None:
        left = self._broken_until - self._clock()
        if left > 0 and self._refusal:
            text = (
                f"{self._refusal.message}; no further login for {left:.0f} s after {self._refusals} refusals"
            )
            raise HopFailed(self._refusal.code, text)

    def _wake(self, count: int) -> None:
        for waiter in self._waiting:
            if count and not waiter.done():
                waiter.set_result(None)
                count -= 1

    def _forget_lost(self) -> None:
        for connection in [one for one in self._open if one.lost.is_set()]:
            self._open.remove(connection)
            self._idle_since.pop(connection, None)

    async def _keep_warm(self) -> None:
        failures = 0
        while True:
            self._forget_lost()
            self._close_idle()
            if self._open:
                failures = 0
                with suppress(TimeoutError):  # wait_for of Python 3.11 loses a cancellation here
                    async with asyncio.timeout(_TICK):
                        await self._open[0].lost.wait()
                continue
            if not self._dials and self._clock() >= self._broken_until:
                self._start_dial()
            if self._dials:
                await asyncio.wait(self._dials)
            if not self._open:
                await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
                failures += 1

    def _close_idle(self) -> None:
        now = self._clock()
        for connection in self._open[1:]:
            if connection.channels:
                self._idle_since.pop(connection, None)
            elif now - self._idle_since.setdefault(connection, now) > IDLE:
                connection.room = 0
                connection.close()
