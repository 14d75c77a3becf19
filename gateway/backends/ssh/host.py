"""The management host: exec lines on shared SSH connections, for every chain that goes through it."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from gateway.backends.outage_log import SSH, OutageLog
from gateway.backends.ssh import Connection, Passphrase, Process, Prompt, connect
from gateway.backends.ssh.attendance import Attendance
from gateway.backends.ssh.pausable_timeout import PausableTimeout
from gateway.backends.ssh.pool import Pool
from gateway.errors import HopFailed
from gateway.protocol.target import TerminalSize
from gateway.settings.config import Cluster, Limits
from gateway.sleep_watch import SleepWatch

_BLAMES_THE_RUNNER = ("runner_failed", "runner_timeout")
_WORDS = 400  # bytes of what the host says in place of an answer
_LOSSES = 3  # connections that may be gone before one opens a channel; nothing has started by then


class Host:
    """Opens exec channels on shared connections. Works inside `async with host.running():`. `sleeps`: tells when this
    machine has slept; whoever makes the watch runs it.
    """

    def __init__(
        self,
        cluster: Cluster,
        limits: Limits,
        prompt: Prompt | None = None,
        sleeps: SleepWatch | None = None,
    ) -> None:
        self._cluster = cluster
        self._limits = limits
        self._prompt = prompt
        self.sleeps = sleeps or SleepWatch()
        self._passphrase = Passphrase(prompt)
        self._patience = PausableTimeout()
        self._attendance = Attendance(cluster.name, self._patience)
        self._outages = OutageLog(cluster.name, SSH)
        self._pool = Pool(
            self._login, patience=self._patience.now, attended=lambda: self._attendance.attended
        )
        self.restarts = self._pool.restarts
        self._tasks: asyncio.TaskGroup
        self._apart: list[Connection] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps at least one connection open while the block runs. Leaving closes every connection and ends every
        task.
        """
        async with asyncio.TaskGroup() as self._tasks, self._pool.running():
            with self.sleeps.telling(self._pool.wake):
                yield

    def counts(self) -> dict[str, int]:
        """Returns the pool's counts for metrics; `channels` leaves out channels that were opened `apart`."""
        counts = self._pool.counts()
        return {**counts, "channels": counts["channels"] - sum(map(self._pool.has, self._apart))}

    @property
    def trouble(self) -> HopFailed | None:
        """Why the last login failed, while none has succeeded since."""
        return self._pool.trouble

    async def _login(self) -> Connection:
        """Logs in for the pool and returns the connection. Logs failures, the next success and a later loss. Raises
        HopFailed.
        """
        try:
            async with self._attendance.turn() as waiting:
                made = await connect(self._cluster, self._limits, self._passphrase, self._prompt, waiting)
        except HopFailed as error:
            self._outages.refused(error)
            raise
        self._outages.connected()
        self._tasks.create_task(self._log_loss(made))
        return made

    async def _log_loss(self, connection: Connection) -> None:
        began = time.monotonic()
        await connection.lost.wait()
        if not connection.closing:
            self._outages.lost(connection.failure(), time.monotonic() - began)

    @asynccontextmanager
    async def process(
        self, line: str, size: TerminalSize | None = None, *, apart: bool = False
    ) -> AsyncIterator[Process]:
        """Runs an exec line in a channel while the block runs; leaving closes the channel. Tries another connection
        where one is full or lost; while the host opens no channel, waits for at most `Limits.start` seconds. `apart`:
        `counts` leaves the channel out. Raises HopFailed.
        """
        until, losses, again = self._patience.now() + self._limits.start, 0, False
        while True:
            async with AsyncExitStack() as slot:
                connection = await slot.enter_async_context(self._connection(until, first=again, apart=apart))
                try:
                    process = await self._open(connection, line, size, slot)
                except HopFailed as error:
                    losses, again = losses + (error.code != "ssh_busy"), True
                    if error.code == "ssh_restricted" or losses >= _LOSSES or self._patience.now() >= until:
                        raise
                    continue
                try:
                    yield process
                except HopFailed as error:
                    raise (await self._diagnosed(connection, error, slot)) from None
                finally:
                    process.close()
                return

    @asynccontextmanager
    async def _connection(self, until: float, *, first: bool, apart: bool) -> AsyncIterator[Connection]:
        async with self._pool.connection(until, first=first) as connection:
            self._apart += [connection] * apart
            try:
                yield connection
            finally:
                if apart:
                    self._apart.remove(connection)

    async def _open(
        self, connection: Connection, line: str, size: TerminalSize | None, slot: AsyncExitStack
    ) -> Process:
        try:
            process = await self._opened(connection, line, size, slot)
        except TimeoutError:
            connection.room = 0
            raise HopFailed("ssh_lost", "the management host opened no channel in time") from None
        except HopFailed as error:
            if error.code == "ssh_busy":
                self._pool.channel_refused(connection, error)
            elif error.code != "ssh_restricted":
                connection.room = 0
            raise
        self._pool.channel_opened(connection)
        return process

    async def _opened(
        self, connection: Connection, line: str, size: TerminalSize | None, slot: AsyncExitStack
    ) -> Process:
        """Returns a channel that opens within `Limits.ssh_channel` seconds. SSH cannot take an opening back: a caller
        that is cancelled leaves the opening and its slot to a task that closes the channel.
        """
        opening = self._tasks.create_task(self._opening(connection, line, size))
        try:
            opened = await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._tasks.create_task(_close_late(opening, slot.pop_all()))
            raise
        if isinstance(opened, Exception):
            raise opened
        return opened

    async def _opening(
        self, connection: Connection, line: str, size: TerminalSize | None
    ) -> Process | Exception:
        """Returns the channel or the error that prevented it: raising here would end the task group."""
        try:
            async with asyncio.timeout(self._limits.ssh_channel):
                return await connection.open(line, size)
        except Exception as error:  # noqa: BLE001  # the caller raises it
            return error

    async def _diagnosed(self, connection: Connection, error: HopFailed, slot: AsyncExitStack) -> HopFailed:
        """Runs a probe command and returns `error`, or ssh_restricted where `error` blames the runner for a host that
        runs no command of ours: for this key (command= in authorized_keys), or for all (ForceCommand, the login
        shell).
        """
        if error.code not in _BLAMES_THE_RUNNER:
            return error
        one, other, said = secrets.randbelow(10**6), secrets.randbelow(10**6), b""
        try:
            async with asyncio.timeout(self._limits.ssh_channel):
                probe = await self._opened(connection, f"expr {one} + {other}", None, slot)
                try:
                    probe.write_eof()
                    while batch := await probe.read():
                        said = (said + b"".join(data for _, data in batch))[-_WORDS:]
                finally:
                    probe.close()
        except (HopFailed, TimeoutError):
            return error
        if str(one + other).encode() in said:
            return error
        words = said.decode("utf-8", "replace").strip() or "nothing"
        return HopFailed(
            "ssh_restricted",
            "the management host does not run our commands for this key or account (command= in authorized_keys, "
            f"ForceCommand, or its login shell): it says {words!a}",
        )


async def _close_late(opening: asyncio.Task[Process | Exception], slot: AsyncExitStack) -> None:
    """Closes a channel that nobody waits for once it is open, and then gives its slot back."""
    async with slot:
        opened = await opening
        if isinstance(opened, Process):
            opened.close()
