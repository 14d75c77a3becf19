"""Finds the pods of a selection, and hears of those that join it later."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from gateway.backends.kube import pod as pods
from gateway.backends.kube import workloads
from gateway.client.cluster import Cluster
from gateway.client.logs.wish import Selection, Source, Wish
from gateway.errors import HopFailed

_WATCH = 300  # seconds of one watch; then the list is read again
_DONE = ("Complete", "Failed")

Found = Callable[[dict[str, Any]], None]  # hears of each pod, again and again


class PodSearch:
    """Looks for the pods of one selection in a namespace."""

    def __init__(self, cluster: Cluster, namespace: str, selection: Selection) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self.selection = selection
        self._kind, self._name = selection.kind, selection.name

    async def first(self) -> tuple[list[dict[str, Any]], str]:
        """Returns the pods that there are, and the version of the list. Raises GatewayFailed, HopFailed."""
        if self.selection.is_one_pod:
            return [await self._cluster.get(f"{self._all}/{self._name}")], ""
        found = await self._cluster.get(await self._path())
        return list(found.get("items") or []), str((found.get("metadata") or {}).get("resourceVersion") or "")

    async def more(self, version: str, found: Found) -> None:
        """Tells of pods that join, for some minutes. Raises GatewayFailed, HopFailed."""
        async for event in self._cluster.watch(await self._path(), version, _WATCH):
            if event.kind in ("ADDED", "MODIFIED"):
                found(event.object)

    async def is_over(self) -> bool:
        """Returns True if no pod will join any more: of one pod, and of a job that has ended. Raises as `first`."""
        if self.selection.is_one_pod:
            return True
        if not self._kind or workloads.plural(self._kind) != "jobs":
            return False
        job = await self._cluster.get(workloads.path(self._namespace, self._kind, self._name))
        conditions = (job.get("status") or {}).get("conditions") or []
        return any(row.get("type") in _DONE and row.get("status") == "True" for row in conditions)

    def sources(self, pod: dict[str, Any], wish: Wish) -> list[Source]:
        """Returns the containers of a pod whose logs are wanted. Raises HopFailed for one that the pod has not."""
        meta = pod["metadata"]
        known = pods.containers(pod)
        names = known if wish.every else [wish.container or pods.default_container(pod) or ""]
        for name in names:
            if name not in known:
                message = f"container {name} is not valid for pod {meta['name']}; it has {', '.join(known)}"
                raise HopFailed("container_not_found", message)
        only = len(names) == 1
        return [Source(meta["namespace"], meta["name"], pods.uid(pod), name, only) for name in names]

    @property
    def _all(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods"

    async def _path(self) -> str:
        """Returns the path of the list. A workload is asked for its selector. Raises HopFailed where it selects no pods."""
        labels = self.selection.labels
        if self._kind:
            workload = await self._cluster.get(workloads.path(self._namespace, self._kind, self._name))
            labels = pods.selector(workload) or ""
            if not labels:
                raise HopFailed("no_ready_pod", f"{self._kind}/{self._name} selects no pods")
        return f"{self._all}?labelSelector={quote(labels, safe='')}" if labels else self._all
