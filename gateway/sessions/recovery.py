"""What an earlier life of this gateway left at its relays: taken over as soon as they are reached."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from gateway.backends.contract import Backend
from gateway.backends.resume import RecoveredSession
from gateway.errors import Refused
from gateway.supervision import supervise

log = structlog.get_logger()


class Recovery:
    """`run` it for each cluster that is in `clusters`. `recover` says no to what it cannot make a session of."""

    def __init__(
        self, backends: Mapping[str, Backend], recover: Callable[[str, RecoveredSession], bool]
    ) -> None:
        self._recover = recover
        self.restarts: dict[str, dict[str, str]] = {}  # see `supervise`, for each cluster
        self._looked: dict[str, asyncio.Event] = {}
        self._resumes = {
            name: backend.resume
            for name, backend in backends.items()
            if backend.resume and backend.resume.survives
        }
        for name in self._resumes:
            self._looked[name] = asyncio.Event()

    @property
    def clusters(self) -> list[str]:
        """Those that may have something."""
        return list(self._looked)

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
            self._looked[cluster].set()

    async def looked(self, seconds: float) -> None:
        """Until all clusters have been looked at once. Raises Refused where one is not reached in time."""
        waiting = [name for name, event in self._looked.items() if not event.is_set()]
        try:
            async with asyncio.timeout(seconds):
                for name in waiting:
                    await self._looked[name].wait()
        except TimeoutError:
            said = f"the gateway was started again and has not reached what it left in {', '.join(waiting)}"
            raise Refused("ssh_unreachable", said) from None
