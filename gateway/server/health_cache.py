"""The last look at each cluster's hops."""

import asyncio
import time

from gateway.backends.contract import Backend, HopCheck

FRESH = 15.0  # seconds that a check may be old
FAILED = 1.0  # the same of one that failed: whoever has just mended a hop looks again


class HealthCache:
    """Checks a cluster's hops when somebody asks and the last check is old: one check at a time for each cluster."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, list[HopCheck]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, name: str, backend: Backend) -> tuple[float, list[HopCheck]]:
        """(seconds ago, hops in order)."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            at, hops = self._last.get(name, (float("-inf"), []))
            if time.monotonic() - at > (FRESH if all(hop.ok for hop in hops) else FAILED):
                hops = await backend.check()
                at = time.monotonic()
                self._last[name] = (at, hops)
            return time.monotonic() - at, hops

    def forget(self) -> None:
        """Drops all checks: this machine has slept, and what they found is older than it seems."""
        self._last.clear()
