"""Notices a log that is followed and stands still while the container writes on, as after a rotation of its file."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from gateway.errors import DapError, first

_GRACE = 2.0  # seconds in which a line that another request has seen has to come

Newer = Callable[[], Awaitable[bool]]


class Silence:
    """Measures how long nothing has come. `seconds`: after so long a look by another way is taken."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._grace = min(_GRACE, seconds)
        self._heard = 0.0
        self._busy = False

    def heard(self) -> None:
        """Takes note that something has come."""
        self._heard = asyncio.get_running_loop().time()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Counts the time in the block as none, in which nobody reads."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            self.heard()

    @asynccontextmanager
    async def guard(
        self, newer: Newer | None, alive: Callable[[], None]
    ) -> AsyncIterator[Callable[[], bool]]:
        """Ends the block where nothing comes although `newer` says that there is more; what was entered with tells that
        afterwards. Without `newer` nothing ends it. `alive` is called once the block has lasted for a while.
        """
        self.heard()
        try:
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch(newer, limit, alive)) if newer else None
                yield limit.expired
                if watching:
                    watching.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
        except BaseExceptionGroup as group:
            raise first(group) from None

    async def _watch(self, newer: Newer, limit: asyncio.Timeout, alive: Callable[[], None]) -> None:
        await asyncio.sleep(self._grace)
        alive()
        while True:
            await self._silent(self._seconds)
            heard = self._heard
            with suppress(DapError):
                if await newer():
                    await asyncio.sleep(self._grace)
                    if self._still(heard) and await newer() and self._still(heard):
                        limit.reschedule(asyncio.get_running_loop().time())
                        return
            self._heard = max(self._heard, asyncio.get_running_loop().time())

    def _still(self, heard: float) -> bool:
        """Returns True if nothing has come since `heard`."""
        return not self._busy and self._heard == heard

    async def _silent(self, seconds: float) -> None:
        """Returns once nothing has come for so long."""
        loop = asyncio.get_running_loop()
        while (left := self._heard + seconds - loop.time()) > 0 or self._busy:  # noqa: ASYNC110  # a clock, no event
            await asyncio.sleep(max(left, self._grace / 2))
