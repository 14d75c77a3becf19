"""The last look at each cluster's hops."""

import asyncio
import time
from collections.abc import Collection

from gateway.backends.contract import Backend, HopCheck, blame
from gateway.errors import HopFailed
from gateway.protocol.outcome import Outcome

FRESH = 15.0  # seconds that a check may be old
_MAY_NOT = (
    "the runner's account may not impersonate users, as the setting impersonate = user needs: bind it to a role with the "
    "verb impersonate on users and groups"
)
FAILED = 1.0  # the same of one that failed: whoever has just mended a hop looks again


class HealthCache:
    """Checks a cluster's hops when somebody asks and the last check is old: one check at a time for each cluster."""

    def __init__(self, in_person: Collection[str] = ()) -> None:
        """Has `in_person` the names of the clusters that are asked in each person's name."""
        self._in_person = in_person
        self._last: dict[str, tuple[float, list[HopCheck]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, name: str, backend: Backend) -> tuple[float, list[HopCheck]]:
        """(seconds ago, hops in order)."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            at, hops = self._last.get(name, (float("-inf"), []))
            if time.monotonic() - at > (FRESH if all(hop.ok for hop in hops) else FAILED):
                hops = await backend.check()
                if name in self._in_person and all(hop.ok for hop in hops):
                    await _check_impersonation(backend, hops)
                at = time.monotonic()
                self._last[name] = (at, hops)
            return time.monotonic() - at, hops

    def forget(self) -> None:
        """Drops all checks: this machine has slept, and what they found is older than it seems."""
        self._last.clear()


async def _check_impersonation(backend: Backend, hops: list[HopCheck]) -> None:
    """Makes the cluster's hop a failed one where the runner's account may not impersonate."""
    try:
        may = await backend.kube.may("impersonate", "users", "", "")
    except HopFailed:
        return
    if may is False:
        blame(hops, Outcome("forbidden", _MAY_NOT))
