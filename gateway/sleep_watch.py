"""Notices that this machine has slept: the wall clock goes on during a sleep, and the monotonic clock stands still."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()
AHEAD = 10.0  # seconds that the wall clock gains on the monotonic clock from one look to the next: a sleep
LOOK = 1.0  # seconds between looks
RECENT = 15.0  # seconds after a sleep in which a loss may come from the sleep

Clock = Callable[[], float]


class SleepWatch:
    """Compares two clocks while `run` runs and whenever `recent` is called. A wall clock that somebody sets ahead
    passes for a sleep: what follows a sleep harms nobody who was awake.
    """

    def __init__(self, monotonic: Clock = time.monotonic, wall: Clock = time.time) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._offset = wall() - monotonic()
        self._slept = 0.0  # seconds of the last sleep
        self._woke = float("-inf")  # when that was noticed, on the monotonic clock
        self._told = True  # the last sleep
        self._calls: list[Callable[[], None]] = []

    @contextmanager
    def telling(self, call: Callable[[], None]) -> Iterator[None]:
        """Calls `call` after each sleep that is noticed while the block runs."""
        self._calls.append(call)
        try:
            yield
        finally:
            self._calls.remove(call)

    async def run(self) -> None:
        """Looks at the clocks once a second; never returns."""
        while True:
            await asyncio.sleep(LOOK)
            self.tell()

    def recent(self) -> float:
        """Returns for how many seconds this machine slept, if it woke less than RECENT seconds ago; else 0. Looks at the
        clocks, since a loss may be noticed before `run` has looked; leaves the calls to `run`.
        """
        self._look()
        return self._slept if self._monotonic() - self._woke < RECENT else 0.0

    def _look(self) -> None:
        offset = self._wall() - self._monotonic()
        gained, self._offset = offset - self._offset, offset
        if gained < AHEAD:
            return
        self._slept, self._woke, self._told = gained, self._monotonic(), False
        log.info("machine_slept", seconds=round(gained, 1))

    def tell(self) -> None:
        """Looks at the clocks and makes the calls for a sleep that is new."""
        self._look()
        if self._told:
            return
        self._told = True
        for call in list(self._calls):
            try:
                call()
            except Exception:  # one that fails keeps the others from nothing
                log.exception("after_sleep_defect")
