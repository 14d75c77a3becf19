"""A clock for what waits on a login: it stands still while a person is asked for something."""

import time
from collections.abc import Awaitable, Callable


class Patience:
    """`now` in seconds, for deadlines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asking = 0  # people, at this moment
        self._since = 0.0  # they are asked
        self._stood = 0.0  # seconds in all

    def now(self) -> float:
        """Seconds that went by while nobody was asked."""
        return (self._since if self._asking else self._clock()) - self._stood

    def unhurried(
        self, ask: Callable[[str, bool], Awaitable[str | None]]
    ) -> Callable[[str, bool], Awaitable[str | None]]:
        """The same question; the clock stands until it is answered."""

        async def asked(question: str, echo: bool) -> str | None:
            if not self._asking:
                self._since = self._clock()
            self._asking += 1
            try:
                return await ask(question, echo)
            finally:
                self._asking -= 1
                if not self._asking:
                    self._stood += self._clock() - self._since

        return asked
