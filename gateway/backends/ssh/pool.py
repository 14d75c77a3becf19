"""Chooses the connection for the next channel: at most 8 channels each, a new connection when all are full.

One connection is kept open; callers queue for capacity. Independent of SSH: a connection is what `dial` returns.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar, cast

import structlog

from gateway.backends.ssh.channel_capacity import CHANNELS, ChannelCapacity, Connection
from gateway.backends.ssh.login_throttle import LoginThrottle
from gateway.backends.ssh.turns import Turns
from gateway.errors import HopFailed
from gateway.supervision import supervise
from gateway.timeouts import wait_within

log = structlog.get_logger()
IDLE = 60.0  # seconds after which an unused connection beyond the first is closed
_TICK = 10.0  # seconds between looks at idle connections
_BACKOFF = (1.0, 2.0, 5.0, 10.0, 15.0)  # seconds between attempts to keep one warm
C = TypeVar("C", bound=Connection)


class Pool(Generic[C]):
    """Works inside `pool.running()`. `patience`: the clock of deadlines; `attended`: True if a person was just asked."""

    def __init__(
        self,
        dial: Callable[[], Awaitable[C]],
        clock: Callable[[], float] = time.monotonic,
        patience: Callable[[], float] | None = None,
        attended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._dial = dial
        self._attended = attended
        self._clock = clock
        self._patience = patience or clock
        self._logins = LoginThrottle(clock)
        self._open: dict[C, ChannelCapacity[C]] = {}
        self._usual = CHANNELS  # channels that a new connection probably may have
        self._waiting: Turns[C] = Turns()
        self._dials: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._woken = asyncio.Event()  # this machine has slept since the last attempt to keep one warm
        self.restarts: dict[str, str] = {}  # see `supervise`
        self._tasks: asyncio.TaskGroup

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps a connection open. Leaving refuses all who wait, closes every connection and ends every task."""
        async with asyncio.TaskGroup() as self._tasks:
            keeper = self._tasks.create_task(supervise("ssh_pool", self._keep_warm, self.restarts))
            try:
                yield
            finally:
                keeper.cancel()
                for dial in self._dials:
                    dial.cancel()
                self._dials.clear()
                self._waiting.refuse(HopFailed("shutdown", "the gateway is being stopped"))
                if self._later:
                    self._later.cancel()
                for connection in self._open:
                    connection.close()
                for connection in list(self._open):  # who gives one back meanwhile has lost ones dropped
                    await connection.wait_closed()
                self._open.clear()

    @asynccontextmanager
    async def connection(self, until: float = float("inf"), *, first: bool = False) -> AsyncIterator[C]:
        """Yields a connection that may have one more channel, which counts until the block is left. Waits while all
        connections are full, at most until the clock `patience` shows `until`; `first`: before the others that wait.
        Raises HopFailed when that was too long, when a login failed in a way that waiting does not mend, or at once
        while the breaker is open. Cancelling is safe.
        """
        connection = await self._acquire(until, first=first)
        try:
            yield connection
        finally:
            self._give_back(connection)

    def channel_opened(self, connection: C) -> None:
        """Records that the host opened a channel on the connection; serves those who wait."""
        if room := self._open.get(connection):
            room.channel_opened()
            self._usual = max(self._usual, room.proven)
            self._logins.channel_opened()
            self._serve()

    def channel_refused(self, connection: C, error: HopFailed) -> None:
        """Records that the host opened no further channel on the connection, with `error`, and learns its limit."""
        if room := self._open.get(connection):
            if room.channel_refused():
                self._usual = max(1, connection.room)
            if not connection.room:
                self._logins.login_turned_away(error)

    def wake(self) -> None:
        """Tries again at once, since this machine has slept: ends pauses and the breaker, begins the logins that are under
        way anew, and opens no channel on a connection until its host has answered.
        """
        self._logins.wake()
        for dial in self._dials:
            dial.cancel()
        self._dials.clear()
        for connection, room in self._open.items():
            room.doubted = True
            self._tasks.create_task(self._confirm(connection, room))
        self._woken.set()
        self._serve()

    @property
    def trouble(self) -> HopFailed | None:
        """Why the last login failed, while none has succeeded since."""
        return self._logins.trouble

    def has(self, connection: C) -> bool:
        """Returns True if the pool has this connection open."""
        return connection in self._open

    def counts(self) -> dict[str, int]:
        """Returns the counts of this moment for metrics."""
        broken = self._logins.broken
        return {
            "connections": len(self._open),
            "channels": sum(connection.channels for connection in self._open),
            "logins": len(self._dials),
            "waiting": len(self._waiting),
            "breaker_open": int(broken > 0),
            "breaker_seconds": round(broken),
        }

    async def _acquire(self, until: float, *, first: bool) -> C:
        turn = self._waiting.join(first=first)
        try:
            self._serve()
            if not turn.done():
                self._logins.check()
            await self._waiting.wait(turn, until, self._patience, self._late)
            return turn.result()
        except BaseException:
            if turn.done() and not turn.cancelled() and not turn.exception():
                self._give_back(turn.result())  # the turn was ours: pass it on
            raise
        finally:
            self._waiting.leave(turn)

    def _give_back(self, connection: C) -> None:
        connection.channels -= 1
        if not connection.room and not connection.channels:
            connection.close()
        self._serve()

    def _serve(self) -> None:
        """Gives free channels to those who wait, in order; starts logins for the others; drops lost connections."""
        for lost in [one for one in self._open if one.lost.is_set()]:
            del self._open[lost]
            lost.close()  # with the jump hosts before it, which live on
        while turn := self._waiting.next():
            connection = next((one for one, room in self._open.items() if room.free()), None)
            if connection is None:
                break
            connection.channels += 1
            self._open[connection].idle()
            turn.set_result(connection)
        if self._waiting:
            self._start_dials()

    def _start_dials(self) -> None:
        needed = -(-len(self._waiting) // self._usual)
        while len(self._dials) < min(needed, self._logins.allowed):
            self._dials.add(self._tasks.create_task(self._login()))
        pauses = [room.rest for room in self._open.values() if room.rest > 0]
        if not self._dials:
            pauses.append(self._logins.pause)
        if self._later:
            self._later.cancel()
        if pauses and min(pauses) > 0:
            self._later = asyncio.get_running_loop().call_later(min(pauses), self._serve)

    async def _login(self) -> None:
        error: HopFailed | None = None
        try:
            connection = await self._dial()
        except HopFailed as failed:
            error = failed
        except Exception as defect:  # in one login: it must not end the others' sessions
            log.exception("login_defect")
            text = f"login failed unexpectedly: {type(defect).__name__}: {defect}"
            error = HopFailed("gateway_error", text)
        finally:  # at once: several may end in the same moment, and each must know whether it is the last
            self._dials.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if error:
            self._failed(error)
        else:
            self._logins.login_succeeded()
            self._open[connection] = ChannelCapacity(connection, self._usual, self._clock)
            self._serve()

    def _failed(self, error: HopFailed) -> None:
        """Retries if the host is busy, or unreachable with a connection up; else the last login refuses all who wait."""
        lives = any(one.room and not one.lost.is_set() for one in self._open)
        if error.code == "ssh_busy" or (error.code == "ssh_unreachable" and lives):
            self._logins.login_turned_away(error)
            self._serve()
            return
        self._logins.login_failed(error, attended=self._attended())
        if not self._dials:  # no other login may still serve them
            self._waiting.refuse(error)

    def _late(self) -> HopFailed:
        others = len(self._waiting) - 1
        text = f"the management host had no room for another session in time, and {others} more wait"
        return HopFailed("ssh_busy", f"{text}: {self.trouble.message}" if self.trouble else text)

    async def _keep_warm(self) -> None:
        failures = 0
        while True:
            self._woken.clear()
            self._serve()
            self._close_idle()
            if self._open:
                failures = 0
                await wait_within(next(iter(self._open)).lost.wait(), _TICK)
                continue
            if not self._dials and self._logins.pause <= 0:
                self._dials.add(self._tasks.create_task(self._login()))
            if self._dials:
                await asyncio.wait(self._dials)
            if not self._open:
                backoff = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
                slept = await wait_within(self._woken.wait(), max(backoff, self._logins.pause))
                failures = 0 if slept else failures + 1

    async def _confirm(self, connection: C, room: ChannelCapacity[C]) -> None:
        """Waits until the host has answered on a connection, which may have channels again then."""
        await connection.wait_answer()
        room.doubted = False
        self._serve()

    def _close_idle(self) -> None:
        for connection, room in list(self._open.items())[1:]:
            if room.idle() > IDLE:
                connection.room = 0
                connection.close()
