"""Tells an API server that is slow with one answer from an API server that answers nobody any more."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from gateway.errors import HopFailed

QUIET = 3.0  # seconds without an answer to any request, after which the API server is asked a question
ANSWER = 2.0  # seconds for its answer


class Reachability:
    """Watches over requests whose answers may take any time. `ask`: sends a question that every API server answers at
    once; `tasks`: runs the watching tasks.
    """

    def __init__(self, ask: Callable[[], AbstractAsyncContextManager[Any]], tasks: asyncio.TaskGroup) -> None:
        self._ask = ask
        self._tasks = tasks
        self._answered = 0.0

    def answered(self) -> None:
        """Records that the API server has answered some request."""
        self._answered = time.monotonic()

    @asynccontextmanager
    async def required(self) -> AsyncIterator[None]:
        """Ends the body of the `async with` once the API server answers no request at all; raises HopFailed then."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(None) as scope:
                check = self._tasks.create_task(self._check(scope, began))
                try:
                    yield
                finally:
                    check.cancel()
        except TimeoutError:
            silence = f"the API server has answered nothing for {time.monotonic() - began:.0f} s"
            raise HopFailed("cluster_unreachable", silence) from None

    async def _check(self, scope: asyncio.Timeout, began: float) -> None:
        """Ends `scope` as soon as the API server answers neither another request within QUIET seconds nor, after that,
        the question within ANSWER seconds.
        """
        while True:
            last = max(began, self._answered)
            await asyncio.sleep(max(0.1, last + QUIET - time.monotonic()))
            if time.monotonic() - max(began, self._answered) < QUIET:
                continue
            try:
                async with asyncio.timeout(ANSWER), self._ask():
                    pass
            except (TimeoutError, HopFailed):
                scope.reschedule(asyncio.get_running_loop().time())
                return
