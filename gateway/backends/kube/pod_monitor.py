"""Watches pods while sessions run in them, with one watch for all sessions of a pod, where the API server can be
watched.

When a container ends, KILL ends its processes, and kubectl exits with 137, as when only the command was killed; now
and then with 0, where the code was lost on its way. The kubelet reports the container's end to the API server a
second or two later. So a session that may wait does so after a 137, and every session after a 0 without a cause.
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
from gateway.event import Event
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Target
from gateway.supervision import supervise

log = structlog.get_logger()

SHORT = 1.0  # seconds until a session is worth a watch
PATIENCE = 3.0  # seconds in which the kubelet reports the end of a container
RECENT = 5.0  # seconds, at most, from the report of a container's end to the end of a command that it caused
_AGAIN = 0.5  # seconds between the end of a watch, after some minutes, and the next watch
_LATER = 5.0  # seconds until the next try after a watch that failed
_LOOK = 0.5  # seconds between requests for the pod where it is not watched
_KILLED = 137
_DOUBTFUL = (
    "cluster_lost",
    "cluster_failed",
    "kubectl_failed",
    "container_not_running",
    "stdin_stalled",
)  # outcomes that the end of a pod can cause


class Pods:
    """Shares watches and requests for pods among sessions. Works inside `async with pods.running():`."""

    def __init__(self, api: ClusterApi) -> None:
        self.api = api
        self.restarts: dict[str, str] = {}  # see `supervise`
        self.clusters = 1  # to which `api` has led
        self._watched: dict[tuple[int, str, str], Watched] = {}
        self._looks: dict[tuple[str, str], asyncio.Task[dict[str, Any] | HopFailed | None]] = {}
        self._tasks: asyncio.TaskGroup

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the tasks that watch and ask while the body runs. Leaving cancels them and waits for their end."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                for task in (*(watched.task for watched in self._watched.values()), *self._looks.values()):
                    task.cancel()

    def forget(self) -> None:
        """Takes that `api` leads to another cluster, which knows nothing of the pods of sessions until now."""
        self.clusters += 1

    @asynccontextmanager
    async def watched(self, target: Target) -> AsyncIterator["Watched"]:
        """Yields the target's pod under a watch that all its users share; the last user to leave ends the watch."""
        key = self.clusters, target.namespace, target.pod
        watched, work = self._watched.get(key), f"watch of {target.namespace}/{target.pod}"
        if watched is None:
            watched = self._watched[key] = Watched(self.api, target)
            watched.task = self._tasks.create_task(supervise(work, watched.run, self.restarts))
        watched.users += 1
        try:
            yield watched
        finally:
            watched.users -= 1
            if not watched.users:
                del self._watched[key]
                watched.task.cancel()
                self.restarts.pop(work, None)

    def known(self, target: Target) -> dict[str, Any] | None:
        """Returns the pod as a watch shows it now; None where the pod is not watched, or does not exist."""
        watched = self._watched.get((self.clusters, target.namespace, target.pod))
        return watched.pod if watched and watched.known else None

    async def look(self, target: Target) -> dict[str, Any] | None:
        """Gets the pod and returns the pod as it is now; None where the pod does not exist. Calls that overlap share
        a request. Raises HopFailed.
        """
        key = target.namespace, target.pod
        if key not in self._looks:
            self._looks[key] = task = self._tasks.create_task(self._get(target))
            task.add_done_callback(lambda _: self._looks.pop(key))
        pod = await asyncio.shield(self._looks[key])
        if isinstance(pod, HopFailed):
            raise pod
        return pod

    async def _get(self, target: Target) -> dict[str, Any] | HopFailed | None:
        try:
            return await self.api.get(f"/api/v1/namespaces/{target.namespace}/pods/{target.pod}")
        except HopFailed as error:
            return None if error.status and error.status.code == 404 else error
        except Exception as defect:  # ends no session, neither those that asked nor others
            log.exception("look_defect", pod=f"{target.namespace}/{target.pod}")
            return HopFailed("gateway_error", f"a defect: {type(defect).__name__}")


class Watched:
    """Watches one pod and holds the pod's last known state: `pod`, valid while `known` is True."""

    def __init__(self, api: ClusterApi, target: Target) -> None:
        self.users = 0
        self.known = False
        self.pod: dict[str, Any] | None = None  # None while `known`: no pod has that name
        self.task: asyncio.Task[None]
        self._api = api
        self._path = f"/api/v1/namespaces/{target.namespace}/pods?fieldSelector=metadata.name%3D{target.pod}"
        self._changed = asyncio.Condition()

    async def change(self) -> None:
        """Waits until the watch next reports the pod."""
        async with self._changed:
            await self._changed.wait()

    async def run(self) -> None:
        """Follows the pod for ever: gets the pod, watches it, and starts again after a pause when the watch ends or
        fails.
        """
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
        answer = await self._api.get(self._path)
        await self._tell(*(answer.get("items") or [None]))
        version = (answer.get("metadata") or {}).get("resourceVersion", "")
        async with aclosing(self._api.watch(f"{self._path}&resourceVersion={version}")) as events:
            async for event in events:
                await self._tell(None if event.kind == "DELETED" else event.object)

    async def _tell(self, pod: dict[str, Any] | None) -> None:
        self.known, self.pod = True, pod
        async with self._changed:
            self._changed.notify_all()


class KubePodMonitor:
    """Implements `PodMonitor` for one session."""

    def __init__(self, watches: Pods, target: Target) -> None:
        self._pods = watches
        self._target = target
        self._now = asyncio.get_running_loop().time
        self._named = bool(target.pod) and "/" not in target.pod
        self._uid: str | None = None
        self._lived: pods.Life | None = None  # the container's last known run, if it was running
        self._end: Outcome | None = None
        self._end_at = float("-inf")
        self._ended = Event()
        self._watched: Watched | None = None
        self._cluster = watches.clusters

    @property
    def _elsewhere(self) -> bool:
        """True if the session's pod is in another cluster than the one that answers now."""
        return self._cluster != self._pods.clusters

    def known(self) -> dict[str, Any] | None:
        """See `PodMonitor.known`."""
        return None if self._elsewhere else self._pods.known(self._target)

    async def wait_lost(self) -> Outcome:
        """Watches the pod and returns an outcome when the pod itself is gone; waits for ever where the pod cannot be
        watched. Stores the end of the container for `diagnose`. See `PodMonitor.wait_lost`.
        """
        if self._named and self._pods.api.watches:
            await asyncio.sleep(SHORT)
            async with self._pods.watched(self._target) as watched:
                self._watched = watched
                while not self._elsewhere:
                    if watched.known and self._look_at(watched.pod) and self._end:
                        return self._end
                    await watched.change()
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # never

    async def diagnose(self, outcome: Outcome, *, may_wait: bool, suspicious: bool = False) -> Outcome:
        """Returns the end of the pod or container if that explains `outcome`, else `outcome`. Waits up to PATIENCE
        seconds for a report if `may_wait`, or for a suspicious 0; else the result has the Status of `outcome`. See
        `PodMonitor.diagnose`.
        """
        zero = suspicious and outcome.exit_code == 0
        if (
            not self._named
            or self._elsewhere
            or not (zero or outcome.exit_code == _KILLED or outcome.code in _DOUBTFUL)
        ):
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
        """Gets the pod every _LOOK seconds, until the container's end shows or PATIENCE seconds have passed. A
        restart that the kubelet reports before the first request stays unseen. Raises HopFailed.
        """
        until = self._now() + PATIENCE
        while self._now() < until and not self._elsewhere:
            self._look_at(await self._pods.look(self._target))
            if self._end:
                return
            await asyncio.sleep(_LOOK)

    def _look_at(self, pod: dict[str, Any] | None) -> bool:
        """Compares `pod` with the last known state and stores the end of the container's run, if any. True if the pod
        itself is gone.
        """
        container, name = self._target.container, f"{self._target.namespace}/{self._target.pod}"
        end, gone = pods.end_of(pod, self._uid, container, self._lived, name)
        if pod is not None:
            self._uid = self._uid or pods.uid(pod)
            self._lived = pods.life(pod, container)
        if end:
            self._end, self._end_at = end, self._now()
            self._ended.set()
        return gone
