"""What becomes of pods while sessions live in them: one watch for all sessions of a pod, where there is a watch.

When a container ends, all its processes get KILL: kubectl says 137, and so it does when the command alone was killed.
Now and then it says 0, since the code was lost on its way. The kubelet tells the API server of the container a second or
two later. So who wants to know waits that long for a 137, and everybody for a 0 that nobody seems to have asked for.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import structlog

from gateway.backends.contract import ClusterApi
from gateway.backends.kube import pod as pods
from gateway.errors import HopFailed
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Target
from gateway.supervision import supervise

log = structlog.get_logger()

SHORT = 1.0  # seconds of a session that is not worth a watch
PATIENCE = 3.0  # seconds for the kubelet to say what has happened to a container
RECENT = (
    5.0  # seconds between the end of a container, as far as is heard of it, and that of what it took along
)
_AGAIN = 0.5  # seconds between the end of a watch and the next; there is one after some minutes
_LATER = 5.0  # seconds where there is none to be had
_LOOK = 0.5  # seconds between looks where there is no watch
_KILLED = 137
_DOUBTFUL = (
    "cluster_lost",
    "cluster_failed",
    "kubectl_failed",
    "container_not_running",
    "stdin_stalled",
)  # what a dying pod can look like


class Pods:
    """Works inside `async with pods.running():`."""

    def __init__(self, api: ClusterApi) -> None:
        self.api = api
        self.restarts: dict[str, str] = {}  # see `supervise`
        self._watched: dict[tuple[str, str], Watched] = {}
        self._looks: dict[tuple[str, str], asyncio.Task[dict[str, Any] | HopFailed | None]] = {}
        self._tasks: asyncio.TaskGroup

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On leaving no task is left."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                for one in (*(row.task for row in self._watched.values()), *self._looks.values()):
                    one.cancel()

    @asynccontextmanager
    async def watched(self, target: Target) -> AsyncIterator["Watched"]:
        """Shared with everybody who watches that pod."""
        key = target.namespace, target.pod
        one, work = self._watched.get(key), f"watch of {target.namespace}/{target.pod}"
        if one is None:
            one = self._watched[key] = Watched(self.api, target)
            one.task = self._tasks.create_task(supervise(work, one.run, self.restarts))
        one.users += 1
        try:
            yield one
        finally:
            one.users -= 1
            if not one.users:
                del self._watched[key]
                one.task.cancel()
                self.restarts.pop(work, None)

    async def look(self, target: Target) -> dict[str, Any] | None:
        """The pod as it is now, None where there is none; asked once for all who look meanwhile. Raises HopFailed."""
        key = target.namespace, target.pod
        if key not in self._looks:
            self._looks[key] = task = self._tasks.create_task(self._get(target))
            task.add_done_callback(lambda _: self._looks.pop(key))
        found = await asyncio.shield(self._looks[key])
        if isinstance(found, HopFailed):
            raise found
        return found

    async def _get(self, target: Target) -> dict[str, Any] | HopFailed | None:
        try:
            return await self.api.get(f"/api/v1/namespaces/{target.namespace}/pods/{target.pod}")
        except HopFailed as error:
            return None if error.status and error.status.code == 404 else error
        except Exception as defect:  # it must not end the sessions that ask, nor any other
            log.exception("look_defect", pod=f"{target.namespace}/{target.pod}")
            return HopFailed("gateway_error", f"a defect: {type(defect).__name__}")


class Watched:
    """A pod as it was when something was last heard of it."""

    def __init__(self, api: ClusterApi, target: Target) -> None:
        self.users = 0
        self.known = False
        self.pod: dict[str, Any] | None = None  # none of that name, once it is known
        self.task: asyncio.Task[None]
        self._api = api
        self._path = f"/api/v1/namespaces/{target.namespace}/pods?fieldSelector=metadata.name%3D{target.pod}"
        self._changed = asyncio.Condition()

    async def change(self) -> None:
        """Waits for the next news."""
        async with self._changed:
            await self._changed.wait()

    async def run(self) -> None:
        """For ever. A watch that ends is begun again with what is there then."""
        while True:
            pause = _LATER
            try:
                await self._follow()
                pause = _AGAIN
            except HopFailed:
                pass
            finally:
                self.known = False
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        found = await self._api.get(self._path)
        await self._tell(*(found.get("items") or [None]))
        version = (found.get("metadata") or {}).get("resourceVersion", "")
        async with aclosing(self._api.watch(f"{self._path}&resourceVersion={version}")) as events:
            async for event in events:
                await self._tell(None if event.kind == "DELETED" else event.object)

    async def _tell(self, pod: dict[str, Any] | None) -> None:
        self.known, self.pod = True, pod
        async with self._changed:
            self._changed.notify_all()


class KubePodMonitor:
    """See `PodMonitor`; one session's."""

    def __init__(self, watches: Pods, target: Target) -> None:
        self._pods = watches
        self._target = target
        self._now = asyncio.get_running_loop().time
        self._named = bool(target.pod) and "/" not in target.pod
        self._uid: str | None = None
        self._lived: pods.Life | None = None  # the container's run that goes on, as far as is known
        self._end: Outcome | None = None
        self._end_at = float("-inf")
        self._ended = asyncio.Event()
        self._watched: Watched | None = None

    async def wait_lost(self) -> Outcome:
        """See `PodMonitor.wait_lost`."""
        if self._named and self._pods.api.watches:
            await asyncio.sleep(SHORT)
            async with self._pods.watched(self._target) as watched:
                self._watched = watched
                while True:
                    if watched.known and self._look_at(watched.pod) and self._end:
                        return self._end
                    await watched.change()
        return await asyncio.Event().wait()  # type: ignore[return-value]  # never

    async def diagnose(self, outcome: Outcome, *, may_wait: bool, suspicious: bool = False) -> Outcome:
        """See `PodMonitor.diagnose`."""
        zero = suspicious and outcome.exit_code == 0
        if not self._named or not (zero or outcome.exit_code == _KILLED or outcome.code in _DOUBTFUL):
            return outcome
        may_wait = may_wait or zero
        if self._now() - self._end_at > RECENT:
            self._end = None
            self._ended.clear()
            if may_wait:
                with suppress(TimeoutError, HopFailed):
                    followed = self._watched is not None and self._watched.known
                    await (asyncio.wait_for(self._ended.wait(), PATIENCE) if followed else self._look())
        if self._end is None:
            return outcome
        return self._end if may_wait else replace(self._end, status=outcome.as_status())

    async def _look(self) -> None:
        """Without a watch, from when the command has ended: a restart shows if the kubelet is not ahead of us. An answer
        may take its time on a busy machine.
        """
        until = self._now() + PATIENCE
        while self._now() < until:
            self._look_at(await self._pods.look(self._target))
            if self._end:
                return
            await asyncio.sleep(_LOOK)

    def _look_at(self, pod: dict[str, Any] | None) -> bool:
        """Notes what has ended since the last look; yes when that is the pod itself."""
        container, name = self._target.container, f"{self._target.namespace}/{self._target.pod}"
        end, gone = pods.end_of(pod, self._uid, container, self._lived, name)
        if pod is not None:
            self._uid = self._uid or pods.uid(pod)
            self._lived = pods.life(pod, container)
        if end:
            self._end, self._end_at = end, self._now()
            self._ended.set()
        return gone
