"""Reads lists of pods, and of what leads to pods, as rows: the API server makes a table of a list, without specs."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, NamedTuple

from gateway.backends.contract import READ, SIZE, ClusterApi
from gateway.backends.kube import answers, pod, workloads
from gateway.errors import HopFailed

KINDS = ("pods", "services", "namespaces", "deployments", "statefulsets", "daemonsets", "jobs")
PAGE = 500  # rows of one answer: to decode these takes 15 ms
FIRST = 200  # rows of the first answer: what a screen shows, and somebody waits for
_HEADERS = (
    ("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"),
    *(header for header in answers.HEADERS if header[0] != "Accept"),
)
_SHORT = {"ReplicaSet": "rs", "StatefulSet": "sts", "DaemonSet": "ds", "Job": "job"}
_READY = ("ready", "completions")  # columns that say how much of it works
_STATUS = ("status", "type")


class Row(NamedTuple):
    """Holds what a list shows of one object. `created`: seconds of the epoch. `owner`: what made the pod, as deploy/api."""

    namespace: str
    name: str
    ready: str = ""
    status: str = ""
    restarts: int = 0
    created: int = 0
    node: str = ""
    owner: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Returns what the object is called, which only one object of a kind is at a time."""
        return self.namespace, self.name


class Page(NamedTuple):
    """Holds a part of a list. `left`: how many rows are to come; None where nobody knows. `version`: where a watch of
    the whole list begins.
    """

    rows: list[Row]
    left: int | None
    version: str


class Change(NamedTuple):
    """Holds an event of a watch. `row`: as it is now, or was; None for an event that only moves `version` on."""

    row: Row | None
    gone: bool
    version: str


class Table:
    """Reads the list of one kind in one namespace, or in all (""), as whoever `api` acts for may see it."""

    def __init__(self, api: ClusterApi, kind: str, namespace: str) -> None:
        self._api = api
        self._kind = kind
        self._path = workloads.collection(namespace, kind)
        self._columns: dict[str, int] = {}

    @property
    def watches(self) -> bool:
        """True if `changes` works; see `ClusterApi.watches`."""
        return self._api.watches

    async def pages(self) -> AsyncGenerator[Page, None]:
        """Yields the list: FIRST rows, then PAGE rows at a time. Raises HopFailed; see `expired`."""
        if not self.watches:  # one kubectl gets all of it
            items = await self._api.list(self._path)
            yield Page([_row_of(item) for item in items], 0, "")
            return
        more = ""
        while True:
            query = {"limit": str(PAGE if more else FIRST), **({"continue": more} if more else {})}
            found, _ = await answers.read(
                self._api.request, answers.with_query(self._path, query), SIZE, _HEADERS
            )
            metadata = found.get("metadata") or {}
            more = str(metadata.get("continue") or "")
            left = metadata.get("remainingItemCount")
            known = left if isinstance(left, int) else None
            yield Page(self._rows(found), known if more else 0, str(metadata.get("resourceVersion") or ""))
            if not more:
                return

    async def changes(self, version: str, silence: float) -> AsyncGenerator[Change, None]:
        """Yields the changes since `version`, until the API server ends the watch. Raises HopFailed, also where nothing,
        not even a bookmark, comes for `silence` seconds; see `expired`.
        """
        query = {"resourceVersion": version, "allowWatchBookmarks": "true"}
        path = answers.with_query(self._path, query)
        begin = answers.within(READ)
        async with aclosing(answers.changes(self._api.request, path, SIZE, begin, _HEADERS)) as events:
            while True:
                try:
                    async with asyncio.timeout(silence):
                        event = await anext(events, None)
                except TimeoutError:
                    message = f"the API server sent nothing about {self._kind} for {silence:g} s"
                    raise HopFailed("cluster_lost", message) from None
                if event is None:
                    return
                rows = self._rows(event.object)
                metadata = event.object.get("metadata") or {}
                objects = event.object.get("rows") or []
                if objects:
                    metadata = (objects[0].get("object") or {}).get("metadata") or metadata
                row = rows[0] if rows and event.kind != "BOOKMARK" else None
                yield Change(row, event.kind == "DELETED", str(metadata.get("resourceVersion") or ""))

    def _rows(self, found: Mapping[str, Any]) -> list[Row]:
        """Returns the rows of a Table; of a watch only the first one names its columns."""
        if found.get("kind") != "Table":  # an API server that makes none
            items = found["items"] if isinstance(found.get("items"), list) else [found]
            return [_row_of(item) for item in items]
        if columns := found.get("columnDefinitions"):
            self._columns = {str(column.get("name")).lower(): at for at, column in enumerate(columns)}
        return [self._row(row) for row in found.get("rows") or []]

    def _row(self, row: Mapping[str, Any]) -> Row:
        cells, metadata = row.get("cells") or [], (row.get("object") or {}).get("metadata") or {}

        def cell(*names: str) -> str:
            at = next((self._columns[name] for name in names if name in self._columns), len(cells))
            return str(cells[at]) if at < len(cells) else ""

        ready = cell(*_READY)
        if self._kind == "daemonsets":
            ready = f"{ready}/{cell('desired')}"
        restarts = re.match(r"\d+", cell("restarts"))
        node = cell("node") if self._kind == "pods" else ""
        return _row(
            metadata,
            ready=ready,
            status=cell(*_STATUS),
            restarts=int(restarts[0]) if restarts else 0,
            node="" if node == "<none>" else node,
        )


def expired(error: HopFailed) -> bool:
    """Returns True where the list has to be read from its beginning: its version is forgotten."""
    return error.status is not None and error.status.code == 410


def _row(metadata: Mapping[str, Any], **shown: Any) -> Row:
    name, namespace = str(metadata.get("name") or ""), str(metadata.get("namespace") or "")
    return Row(namespace, name, created=_seconds(metadata), owner=_owner(metadata), **shown)


def _row_of(item: Mapping[str, Any]) -> Row:
    """Returns the row of an object itself."""
    status, spec = item.get("status") or {}, item.get("spec") or {}
    containers = status.get("containerStatuses") or []
    ready = f"{sum(bool(one.get('ready')) for one in containers)}/{len(spec.get('containers') or [])}"
    return _row(
        item.get("metadata") or {},
        ready=ready if spec.get("containers") else "",
        status=pod.phase(item),
        restarts=sum(int(one.get("restartCount") or 0) for one in containers),
        node=str(spec.get("nodeName") or ""),
    )


def _seconds(metadata: Mapping[str, Any]) -> int:
    try:
        return int(datetime.fromisoformat(str(metadata.get("creationTimestamp"))).timestamp())
    except ValueError:
        return 0


def _owner(metadata: Mapping[str, Any]) -> str:
    """Returns what made the object, as kubectl would be told to find it: a deployment is known by its replica set."""
    owners = metadata.get("ownerReferences") or []
    owner = next((one for one in owners if one.get("controller")), None)
    if owner is None:
        return ""
    kind, name = str(owner.get("kind")), str(owner.get("name"))
    hashed = (metadata.get("labels") or {}).get("pod-template-hash")
    if kind == "ReplicaSet" and hashed and name.endswith(f"-{hashed}"):
        return f"deploy/{name.removesuffix(f'-{hashed}')}"
    return f"{_SHORT.get(kind, kind.lower())}/{name}"
