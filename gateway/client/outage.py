"""Bridges the time in which a hop is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, ParamSpec, TypeVar

from gateway.client.cluster import passes
from gateway.errors import DapError

_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts; the last one again and again

T = TypeVar("T")
P = ParamSpec("P")
Say = Callable[[Literal["lost", "back"], str], None]


class Outage:
    """Counts attempts while a hop is lost. `patience`: seconds in which it may come back; before anything has `worked`
    there is no second attempt.
    """

    def __init__(self, patience: float, say: Say, *, worked: bool = False) -> None:
        self._patience = patience
        self._say = say
        self._worked = worked
        self._attempts = 0
        self._since = 0.0

    def over(self) -> None:
        """Takes note that all hops work."""
        self._worked = True
        if self._attempts:
            self._attempts = 0
            self._say("back", "")

    async def endure(self, error: DapError) -> None:
        """Waits until the next attempt. Raises the error where no attempt is left, or none would help."""
        now = asyncio.get_running_loop().time()
        if not self._worked or not passes(error):
            raise error
        if not self._attempts:
            self._since = now
            self._say("lost", str(error))
        pause = _PAUSES[min(self._attempts, len(_PAUSES) - 1)]
        if now + pause - self._since > self._patience:
            raise error
        self._attempts += 1
        await asyncio.sleep(pause)

    async def bridge(self, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what `work` returns, which is called again after a lost hop. Raises what `endure` raises."""
        while True:
            try:
                done = await work(*args, **kwargs)
            except DapError as error:
                await self.endure(error)
            else:
                self.over()
                return done
