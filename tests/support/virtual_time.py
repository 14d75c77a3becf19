"""An event loop whose clock jumps to the next timer: hours in milliseconds, the same each time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class DeadlockError(Exception):
    """Every task waits, and no timer will ever wake one."""


class Loop(asyncio.SelectorEventLoop):
    """`time()` is 0.0 at the start."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise DeadlockError
        if not ready and timeout:
            self._loop.now += timeout
        return ready


def run(story: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run, and nothing of the story may be left when it ends."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        result = runner.run(story)
        left = asyncio.all_tasks(runner.get_loop())
        assert not left, left
        return result


def now() -> float:
    """Seconds since the start of `run`."""
    return asyncio.get_running_loop().time()
