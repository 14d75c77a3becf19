"""The namespace of a pod that is named without one, as each cluster has it now."""

import asyncio
import time
from collections.abc import Mapping

from gateway.backends.contract import Backend

FRESH = 3.0  # seconds that an answer may be old


class Namespaces:
    """Asks the backend, one question at a time for each cluster, and remembers the answer for FRESH seconds.

    A session waits for the answer: an older one would run the command in another pod of the same name. A burst of
    sessions asks once. What may have changed it through this gateway, a command in the runner, has it forgotten at once.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends
        self._last: dict[str, tuple[float, str]] = {}  # when it was asked for, and the answer
        self._forgotten: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, cluster: str) -> str:
        """Returns the default namespace of a cluster, asked once. Raises HopFailed; then the next call asks again."""
        async with self._locks.setdefault(cluster, asyncio.Lock()):
            asked, name = self._last.get(cluster, (float("-inf"), ""))
            now = time.monotonic()
            if asked <= max(now - FRESH, self._forgotten.get(cluster, float("-inf"))):
                name = await self._backends[cluster].namespace()
                self._last[cluster] = (now, name)
            return name

    def forget(self, cluster: str) -> None:
        """Makes the next call ask the cluster again, also while a question is under way."""
        self._forgotten[cluster] = time.monotonic()
