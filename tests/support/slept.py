"""Clocks of a machine that sleeps when a test says so."""

import time
from collections.abc import Callable

from gateway.sleep_watch import SleepWatch


class Clocks:
    """`monotonic` is `clock`, and the time that the test adds; `wall` has the sleeps as well."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._awake = 0.0
        self._slept = 1_700_000_000.0

    def monotonic(self) -> float:
        """Seconds that the machine was awake."""
        return self._clock() + self._awake

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.monotonic() + self._slept

    def sleep(self, seconds: float) -> None:
        """The machine sleeps, or somebody sets its clock back."""
        self._slept += seconds

    def awake(self, seconds: float) -> None:
        """Time goes by."""
        self._awake += seconds


class Sleeper(SleepWatch):
    """A watch of its own clocks, which a test has sleep."""

    def __init__(self) -> None:
        self.clocks = Clocks()
        super().__init__(self.clocks.monotonic, self.clocks.wall)

    def sleep(self, seconds: float) -> None:
        """The machine sleeps and wakes, which is noticed at once."""
        self.clocks.sleep(seconds)
        self.tell()
