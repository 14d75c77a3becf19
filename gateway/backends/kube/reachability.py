"""Tells an API server that is slow with one answer from an API server that answers nobody any more."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.errors import HopFailed

QUIET = 3.0  # seconds without an answer to any request, after which the API server is asked a question
ANSWER = 2.0  # seconds for its answer


class Reachability:
    """Watches over requests whose answers may take any time. `ask`: has the API server answer a question that every API
    server answers at once, or raises HopFailed; `tasks`: runs the watching tasks.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], tasks: asyncio.TaskGroup) -> None:
        self._ask = ask
        self._tasks = tasks
        self._asking = asyncio.Lock()
        self._answered = self._silent = float("-inf")  # when some request, and when no question had an answer

    def answered(self) -> None:
        """Records that the API server has answered some request."""
        self._answered = time.monotonic()

    @asynccontextmanager
    async def required(self) -> AsyncIterator[None]:
        """Ends the body of the `async with` once the API server answers no request at all; raises HopFailed then."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(None) as scope:
                checks: list[asyncio.Task[None]] = []
                # most answers come long before: a task for each would be a tenth of what a request costs
                timer = asyncio.get_running_loop().call_later(
                    QUIET, lambda: checks.append(self._tasks.create_task(self._check(scope, began)))
                )
                try:
                    yield
                finally:
                    timer.cancel()
                    for check in checks:
                        check.cancel()
        except TimeoutError:
            silence = f"the API server has answered nothing for {time.monotonic() - began:.0f} s"
            raise HopFailed("cluster_unreachable", silence) from None

    async def _check(self, scope: asyncio.Timeout, began: float) -> None:
        """Ends `scope` as soon as the API server answers neither another request within QUIET seconds nor, after that,
        the question.
        """
        while True:
            quiet = time.monotonic() - max(began, self._answered)
            if quiet < QUIET:
                await asyncio.sleep(QUIET - quiet)
            elif not await self._answers():
                scope.reschedule(asyncio.get_running_loop().time())
                return

    async def _answers(self) -> bool:
        """Returns True if the API server answers the question within ANSWER seconds. Who asks meanwhile shares the
        answer.
        """
        asked = time.monotonic()
        async with self._asking:
            if asked <= max(self._answered, self._silent):
                return self._answered > self._silent
            try:
                async with asyncio.timeout(ANSWER):
                    await self._ask()
            except (TimeoutError, HopFailed):
                self._silent = time.monotonic()
                return False
            self.answered()
            return True
