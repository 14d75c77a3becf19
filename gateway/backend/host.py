"""The management host: exec lines on shared SSH connections, for every chain that goes through it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.backend.patience import Patience
from gateway.backend.pool import Pool
from gateway.backend.ssh import Connection, Process, Prompt, connect
from gateway.backend.ssh.options import Passphrase
from gateway.config import Cluster, Limits
from gateway.errors import HopFailed
from gateway.protocol.target import TerminalSize

_LOSSES = 3  # connections that may be gone before one opens a channel; nothing has started by then


class Host:
    """Works inside `async with host.running():`."""

    def __init__(self, cluster: Cluster, limits: Limits, prompt: Prompt | None = None) -> None:
        self._limits = limits
        self._patience = Patience()
        asked = self._patience.unhurried(prompt) if prompt else None
        passphrase = Passphrase(asked)
        self._pool = Pool(lambda: connect(cluster, limits, passphrase, asked), patience=self._patience.now)
        self.running = self._pool.running
        self._apart: list[Connection] = []

    def counts(self) -> dict[str, int]:
        """For metrics; `channels` are those that were not opened `apart`."""
        counts = self._pool.counts()
        return {**counts, "channels": counts["channels"] - sum(map(self._pool.has, self._apart))}

    @property
    def trouble(self) -> HopFailed | None:
        """Why the last login failed, while none has succeeded since."""
        return self._pool.trouble

    @asynccontextmanager
    async def process(
        self, line: str, size: TerminalSize | None = None, *, apart: bool = False
    ) -> AsyncIterator[Process]:
        """A channel on a connection that has room. A connection that is full or gone is left for another one; where
        the host has no room at all, waits for it, at most `Limits.start` seconds. Raises HopFailed.
        """
        until, losses, again = self._patience.now() + self._limits.start, 0, False
        while True:
            async with self._connection(until, first=again, apart=apart) as connection:
                try:
                    process = await self._open(connection, line, size)
                except HopFailed as error:
                    losses, again = losses + (error.code != "ssh_busy"), True
                    if losses >= _LOSSES or self._patience.now() >= until:
                        raise
                    continue
                try:
                    yield process
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

    async def _open(self, connection: Connection, line: str, size: TerminalSize | None) -> Process:
        try:
            async with asyncio.timeout(self._limits.ssh_channel):
                process = await connection.open(line, size)
        except TimeoutError:
            connection.room = 0
            raise HopFailed("ssh_lost", "the management host opened no channel in time") from None
        except HopFailed as error:
            if error.code == "ssh_busy":
                self._pool.full(connection, error)
            else:
                connection.room = 0
            raise
        self._pool.took(connection)
        return process
