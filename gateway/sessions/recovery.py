"""Recovers the sessions that an earlier process of this gateway left at its relays, as soon as a relay is reached."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from gateway.backends.contract import Backend
from gateway.backends.resume import RecoveredSession
from gateway.supervision import supervise

log = structlog.get_logger()


class Recovery:
    """Gives each session that was left at a relay to `recover`, and discards the session if `recover` returns False.
    Needs one task in `run` for each of `clusters`.
    """

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
        self._unseen = dict.fromkeys(self._resumes)  # an ordered set

    @property
    def clusters(self) -> list[str]:
        """Returns the clusters whose backend keeps sessions across a restart of the gateway."""
        return list(self._resumes)

    async def run(self, cluster: str) -> None:
        """Recovers the sessions left in a cluster each time that its relay is reached. Returns never: cancel the task."""
        await supervise("recovery", partial(self._run, cluster), self.restarts.setdefault(cluster, {}))

    async def _run(self, cluster: str) -> None:
        resume = self._resumes[cluster]
        async for sessions in resume.found():
            for session in sessions:
                if not self._recover(cluster, session):
                    log.warning("session_discarded", session=session.name, cluster=cluster)
                    resume.discard(session.name)
            self._unseen.pop(cluster, None)
            self._look.set()
            self._look = asyncio.Event()

    def waiting(self, cluster: str = "") -> list[str]:
        """Returns the clusters that are still to be searched for the first time; with `cluster`, at most this cluster."""
        return [name for name in self._unseen if cluster in ("", name)]

    async def next_look(self) -> None:
        """Waits until the search of any cluster has finished, be it the first or a later search."""
        await self._look.wait()
