"""Reads the logs of all pods that a command or a program asks for, merged in the order of their times."""

import asyncio
from typing import Any

from gateway.client.cluster import Cluster
from gateway.client.logs.container_log import ContainerLog
from gateway.client.logs.merge import Deliver, Lane, Merge
from gateway.client.logs.pods import PodSearch
from gateway.client.logs.wish import Event, Notice, Selection, Source, Wish
from gateway.client.outage import Outage
from gateway.errors import DapError, HopFailed, first

_GONE = 410  # the version of the list, which the API server has no more
_LOOK = 1.0  # seconds between looks at a job whose pods have ended
_NONE = Source("", "", "", "")


class Reading:
    """Reads logs, once. `ready` is set as soon as what the first pods write is read. `failed`: how many containers' logs
    could not be read to their end.
    """

    def __init__(self, cluster: Cluster, namespace: str, wish: Wish, deliver: Deliver) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._wish = wish
        self._merge = Merge(wish.window, deliver)
        self._known: set[tuple[str, str]] = set()  # uid and container
        self._logs: list[ContainerLog] = []
        self._readers: set[asyncio.Task[None]] = set()
        self._running = 0
        self._ended = asyncio.Event()  # a log has ended
        self._tasks: asyncio.TaskGroup
        self._alone = False
        self._stopped = asyncio.Event()
        self.failed = 0
        self.ready = asyncio.Event()

    async def run(self, selected: list[Selection]) -> None:
        """Reads until all logs have ended, which those of a selection that others may join never have where they are
        followed. Raises GatewayFailed, HopFailed.
        """
        searches = [PodSearch(self._cluster, self._namespace, one) for one in selected]
        self._alone = len(searches) == 1 and searches[0].selection.is_one_pod
        outages = [Outage(self._wish.patience, self._say) for _ in searches]
        found = [await outage.bridge(one.first) for one, outage in zip(searches, outages, strict=True)]
        if not self._wish.follow and not any(pods for pods, _ in found):
            names = ", ".join(map(str, selected))
            raise HopFailed("pod_not_found", f"there are no pods of {names} in namespace {self._namespace}")
        for selection, (pods, _) in zip(selected, found, strict=True):
            if not pods:
                self._say("waits", f"there are no pods of {selection} in namespace {self._namespace} yet")
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                merging = tasks.create_task(self._merge.run())
                for search, (pods, _) in zip(searches, found, strict=True):
                    for pod in pods:
                        self._add(search, pod)
                tasks.create_task(self._tell_ready(list(self._logs)))
                over = tasks.create_task(
                    self._until_over(searches, outages, [version for _, version in found])
                )
                stopped = tasks.create_task(self._stopped.wait())
                await asyncio.wait((over, stopped), return_when=asyncio.FIRST_COMPLETED)
                for one in (over, stopped, *self._readers):
                    one.cancel()
                self._merge.finish()
                await merging
        except BaseExceptionGroup as group:
            raise first(group) from None

    def stop(self) -> None:
        """Has `run` deliver what was read, and return."""
        self._stopped.set()

    async def _until_over(
        self, searches: list[PodSearch], outages: list[Outage], versions: list[str]
    ) -> None:
        """Returns once all logs have ended, and no pod will join."""
        async with asyncio.TaskGroup() as tasks:
            for search, outage, version in zip(searches, outages, versions, strict=True):
                tasks.create_task(self._search(search, version, outage))
        await self._until_ended()

    async def _search(self, search: PodSearch, version: str, outage: Outage) -> None:
        """Adds the pods that join, until there will be no more."""
        if not self._wish.follow or search.selection.is_one_pod:
            return
        while True:
            try:
                if await self._over_before(search, version):
                    return
            except DapError as error:
                if not (error.status and error.status.code == _GONE):
                    await outage.endure(error)
            pods, version = await outage.bridge(search.first)
            for pod in pods:
                self._add(search, pod, joined=True)

    async def _over_before(self, search: PodSearch, version: str) -> bool:
        """Adds the pods that join for some minutes. Returns True where meanwhile all logs have ended, and no pod will join."""
        try:
            async with asyncio.TaskGroup() as tasks:
                over = tasks.create_task(self._over(search))
                more = tasks.create_task(
                    search.more(version, lambda pod: self._add(search, pod, joined=True))
                )
                await asyncio.wait((over, more), return_when=asyncio.FIRST_COMPLETED)
                for one in (over, more):
                    one.cancel()
        except BaseExceptionGroup as group:
            raise first(group) from None
        return not over.cancelled()

    async def _over(self, search: PodSearch) -> None:
        """Returns once all logs have ended and no pod will join."""
        while True:
            await self._until_ended()
            if self._known and await search.is_over():
                return
            await asyncio.sleep(_LOOK)

    async def _until_ended(self) -> None:
        while self._running:
            self._ended.clear()
            await self._ended.wait()

    def _add(self, search: PodSearch, pod: dict[str, Any], *, joined: bool = False) -> None:
        """Begins to read the logs of a pod that is new."""
        try:
            sources = search.sources(pod, self._wish)
        except HopFailed as error:
            if self._alone:
                raise
            self.failed += not joined
            self._say("failed", error.message)
            return
        for source in sources:
            if (source.uid, source.container) in self._known:
                continue
            self._known.add((source.uid, source.container))
            lane = self._merge.lane()
            if joined:
                lane.say(Notice("joined", source, ""))
            log = ContainerLog(self._cluster, source, self._wish, lane, joined=joined)
            self._logs.append(log)
            self._running += 1
            self._readers.add(self._tasks.create_task(self._read(log, source, lane)))

    async def _read(self, log: ContainerLog, source: Source, lane: Lane) -> None:
        try:
            await log.run()
        except DapError as error:
            if self._alone and source.only:
                raise
            self.failed += 1
            lane.say(Notice("failed", source, str(error)))
        finally:
            lane.close()
            log.ready.set()
            self._logs.remove(log)
            self._running -= 1
            self._ended.set()

    async def _tell_ready(self, logs: list[ContainerLog]) -> None:
        for one in logs:
            await one.ready.wait()
        self.ready.set()

    def _say(self, event: Event, why: str) -> None:
        self._merge.say(Notice(event, _NONE, why))
