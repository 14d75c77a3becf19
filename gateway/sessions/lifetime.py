"""Measures a session's times, and ends a terminal that is idle too long or too old, with a warning before the end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from gateway.event import Event
from gateway.protocol.outcome import Outcome

AHEAD = 60.0  # seconds from a warning to the end; a limit under two minutes warns after half of its time


@dataclass
class Times:
    """Records when a session's command started, wrote its first byte and ended, in seconds since the request (`began`).
    `opened`: the request's time on the wall clock, which goes on while this machine sleeps.
    """

    began: float = field(default_factory=time.monotonic)
    opened: float = field(default_factory=time.time)
    started: float | None = None
    first_byte: float | None = None
    ended: float | None = None

    def elapsed(self) -> float:
        """Returns the seconds since the request."""
        return time.monotonic() - self.began

    @property
    def ended_at(self) -> float:
        """Returns the time of the end on the monotonic clock; infinity while the session runs."""
        return inf if self.ended is None else self.began + self.ended

    def mark(self, name: str) -> None:
        """Records the time now as that of `started`, `first_byte` or `ended`; later calls with the same name are ignored."""
        if getattr(self, name) is None:
            setattr(self, name, self.elapsed())


class Warned(NamedTuple):
    """Announces an end. `code`: the limit, `idle` or `max_age`; `until`: the time of the end on the loop's clock."""

    code: str
    until: float


class Lifetime:
    """Limits a session's idle time and age, both in seconds; 0 means no limit. Input and output must call `touch`; pings
    must not. `warning`: the end that is near, or None.
    """

    def __init__(self, idle: float = 0.0, max_age: float = 0.0) -> None:
        self._clock = asyncio.get_running_loop().time
        self.began = self.touched = self._clock()
        self.warning: Warned | None = None
        self._idle = idle
        self._max_age = max_age
        self._stirred = Event()  # set by activity that may put off an announced end

    @property
    def limited(self) -> bool:
        """Returns True if the session has a limit."""
        return bool(self._idle or self._max_age)

    def idle(self) -> float:
        """Returns the seconds since the last input or output."""
        return self._clock() - self.touched

    def left(self) -> int:
        """Returns the whole seconds until the end that `warning` announces; 0 without a warning."""
        return max(0, round(self.warning.until - self._clock())) if self.warning else 0

    def touch(self) -> None:
        """Records input or output, which restarts the idle time. Cheap: called for every piece."""
        self.touched = self._clock()
        if self.warning:
            self._stirred.set()

    async def run(self, changed: Callable[[], None]) -> Outcome:
        """Waits until a limit is reached and returns the outcome `idle_timeout` or `max_age`. Sets `warning` before the
        end, clears the warning after activity, and calls `changed` after each of these changes. Needs a limit.
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
        """Yields for each limit: the time of the end, the code, and the seconds between warning and end."""
        if self._idle:
            yield self.touched + self._idle, "idle", min(AHEAD, self._idle / 2)
        if self._max_age:
            yield self.began + self._max_age, "max_age", min(AHEAD, self._max_age / 2)

    def _over(self, code: str) -> Outcome:
        if code == "idle":
            return Outcome("idle_timeout", f"there was neither input nor output for {self._idle:g} s")
        return Outcome("max_age", f"the session is {self._max_age:g} s old, and may not get older")
