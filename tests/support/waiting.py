"""Waiting for a condition of which no event tells: a process of another's, a file, a counter of the gateway's."""

import asyncio
import inspect
import time
from collections.abc import Callable

FIRST, LONGEST = 0.005, 0.05  # seconds from one look to the next: twice as long each time, up to that


async def until(true: Callable[[], object], seconds: float = 20.0, *, pause: float = LONGEST) -> float:
    """Looks until the condition, or what it returns to be awaited, is true. Returns the seconds that took. Raises
    TimeoutError with the last value.
    """
    began, wait, last = time.monotonic(), FIRST, object()
    try:
        async with asyncio.timeout(seconds):
            while True:
                last = true()
                if inspect.isawaitable(last):
                    last = await last
                if last:
                    return time.monotonic() - began
                await asyncio.sleep(wait)
                wait = min(2 * wait, pause)
    except TimeoutError:
        raise TimeoutError(f"after {seconds:g} s still {last!r}") from None


def becomes(true: Callable[[], object], seconds: float = 5.0) -> bool:
    """Looks until the condition is true, and blocks the thread meanwhile. Returns False where that takes longer."""
    end, wait = time.monotonic() + seconds, FIRST
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(wait)
        wait = min(2 * wait, LONGEST)
    return True
