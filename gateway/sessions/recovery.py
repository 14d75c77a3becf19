"""What an earlier life of this gateway left at its relays: taken over as soon as they are reached."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from gateway.backends.contract import Backend
from gateway.backends.resume import RecoveredSession
from gateway.supervision import supervise

log = structlog.get_logger()


class Recovery:
    """`run` it for each cluster that is in `clusters`. `recover` says no to what it cannot make a session of."""

    def __init__(
        self, backends: Mapping[str, Backend], recover: Callable[[str, RecoveredSession], bool]
    ) -> None:
        self._recover = recover
        self.restarts: dict[str, dict[str, str]] = {}  # see `supervise`, for each cluster
        self._look = asyncio.Event()
        self._resumes = {
            name: backend.resume
            for name, backend in backends.items()
            if backend.resume and backend.resume.survives
        }
        self._unseen = dict.fromkeys(self._resumes)  # in their order

    @property
    def clusters(self) -> list[str]:
        """Returns the clusters that may have something."""
        return list(self._resumes)

    async def run(self, cluster: str) -> None:
        """Recovers what is found in a cluster, for as long as the gateway runs."""
        await supervise("recovery", partial(self._run, cluster), self.restarts.setdefault(cluster, {}))

    async def _run(self, cluster: str) -> None:
        resume = self._resumes[cluster]
        async for found in resume.found():
            for one in found:
                if not self._recover(cluster, one):
                    log.warning("session_discarded", session=one.name, cluster=cluster)
                    resume.discard(one.name)
            self._unseen.pop(cluster, None)
            self._look.set()
            self._look = asyncio.Event()

    def waiting(self, cluster: str = "") -> list[str]:
        """Returns the clusters that have not been looked at yet; of the named one alone, where one is named."""
        return [name for name in self._unseen if cluster in ("", name)]

    async def next_look(self) -> None:
        """Waits until another cluster has been looked at."""
        await self._look.wait()
