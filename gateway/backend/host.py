"""The management host: exec lines on shared SSH connections, for every chain that goes through it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.backend.pool import Pool
from gateway.backend.ssh import Connection, Process, Prompt, connect
from gateway.backend.ssh.options import Passphrase
from gateway.config import Cluster, Limits
from gateway.errors import HopFailed
from gateway.protocol.target import TerminalSize

_ATTEMPTS = 3  # to find a connection that opens a channel; nothing has started by then


class Host:
    """Works inside `async with host.running():`."""

    def __init__(self, cluster: Cluster, limits: Limits, prompt: Prompt | None = None) -> None:
        self._limits = limits
        passphrase = Passphrase(prompt)
        self._pool = Pool(lambda: connect(cluster, limits, passphrase, prompt))
        self.running = self._pool.running
        self._apart = 0

    def counts(self) -> dict[str, int]:
        """For metrics; `channels` are those that were not opened `apart`."""
        counts = self._pool.counts()
        return {**counts, "channels": counts["channels"] - self._apart}

    @asynccontextmanager
    async def process(
        self, line: str, size: TerminalSize | None = None, *, apart: bool = False
    ) -> AsyncIterator[Process]:
        """A channel on a connection that has room. A connection that is full or gone is left for another one."""
        for attempt in range(1, _ATTEMPTS + 1):
            async with self._connection(apart=apart) as connection:
                try:
                    async with asyncio.timeout(self._limits.ssh_channel):
                        process = await connection.open(line, size)
                except (TimeoutError, HopFailed) as error:
                    if attempt == _ATTEMPTS:
                        said = "the management host opened no channel in time"
                        raise error if isinstance(error, HopFailed) else HopFailed("ssh_lost", said) from None
                    busy = isinstance(error, HopFailed) and error.code == "ssh_busy"
                    connection.room = max(connection.channels - 1, 1) if busy else 0
                    continue
                try:
                    yield process
                finally:
                    process.close()
                return

    @asynccontextmanager
    async def _connection(self, *, apart: bool) -> AsyncIterator[Connection]:
        async with self._pool.connection() as connection:
            self._apart += apart
            try:
                yield connection
            finally:
                self._apart -= apart
