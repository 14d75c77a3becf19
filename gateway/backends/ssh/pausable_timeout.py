"""A clock for deadlines of those who wait for a login: the clock stands still while a login waits for a person."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class PausableTimeout:
    """A clock that stands still while a login waits for a person. `clock` is the clock behind this clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asking = 0  # logins that wait for a person, at this moment
        self._since = 0.0  # when the first of these logins began to wait
        self._stood = 0.0  # seconds for which this clock has stood still so far

    def now(self) -> float:
        """Returns the seconds of the clock behind, less the time in which a login waited for a person."""
        return (self._since if self._asking else self._clock()) - self._stood

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Stops the clock for as long as the block runs."""
        if not self._asking:
            self._since = self._clock()
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            if not self._asking:
                self._stood += self._clock() - self._since
