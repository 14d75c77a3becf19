"""A session's times; how long a terminal may be idle and how old it may get, with a warning ahead of either end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from gateway.protocol.outcome import Outcome

AHEAD = 60.0  # seconds from a warning to the end; half of a limit that is shorter than two minutes


@dataclass
class Times:
    """Seconds since the request, for metrics: when the command was started, its first byte came, it ended."""

    began: float = field(default_factory=time.monotonic)
    started: float | None = None
    first_byte: float | None = None
    ended: float | None = None

    def elapsed(self) -> float:
        """Seconds since the request."""
        return time.monotonic() - self.began

    @property
    def ended_at(self) -> float:
        """On the monotonic clock; far away for what has not ended."""
        return inf if self.ended is None else self.began + self.ended

    def mark(self, name: str) -> None:
        """Notes the first time that this happens."""
        if getattr(self, name) is None:
            setattr(self, name, self.elapsed())


class Warned(NamedTuple):
    """`code`: of the end that comes, `idle` or `max_age`. `until`: when, on the loop's clock."""

    code: str
    until: float


class Lifetime:
    """`idle` and `max_age` in seconds, 0 for no limit. Whatever a person would call activity has to `touch` it: input
    and output, never a ping.
    """

    def __init__(self, idle: float = 0.0, max_age: float = 0.0) -> None:
        self._clock = asyncio.get_running_loop().time
        self.began = self.touched = self._clock()
        self.warning: Warned | None = None
        self._idle = idle
        self._max_age = max_age
        self._stirred = asyncio.Event()  # while there is a warning, which it may put off

    @property
    def limited(self) -> bool:
        """There is something to wait for."""
        return bool(self._idle or self._max_age)

    def idle(self) -> float:
        """Seconds without input or output."""
        return self._clock() - self.touched

    def left(self) -> int:
        """Whole seconds from now until the end that was warned of; 0 without a warning."""
        return max(0, round(self.warning.until - self._clock())) if self.warning else 0

    def touch(self) -> None:
        """There was input or output. Called for each piece, so it costs next to nothing."""
        self.touched = self._clock()
        if self.warning:
            self._stirred.set()

    async def run(self, changed: Callable[[], None]) -> Outcome:
        """Waits for the limit that is reached first. `changed` is called whenever `warning` is another than before,
        also when it no longer holds. Cancelling is safe.
        """
        while True:
            until, code, ahead = min(self._ends())
            now = self._clock()
            if now >= until:
                return self._over(code)
            warning = Warned(code, until) if now >= until - ahead else None
            if warning != self.warning:
                self.warning = warning
                changed()
            self._stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until if warning else until - ahead):
                    await self._stirred.wait()

    def _ends(self) -> Iterator[tuple[float, str, float]]:
        """When, which, and how long before that the warning is due."""
        if self._idle:
            yield self.touched + self._idle, "idle", min(AHEAD, self._idle / 2)
        if self._max_age:
            yield self.began + self._max_age, "max_age", min(AHEAD, self._max_age / 2)

    def _over(self, code: str) -> Outcome:
        if code == "idle":
            return Outcome("idle_timeout", f"there was neither input nor output for {self._idle:g} s")
        return Outcome("max_age", f"the session is {self._max_age:g} s old, and may not get older")
