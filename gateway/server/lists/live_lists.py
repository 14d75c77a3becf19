"""All lists that somebody looks at: one of each, however many look at it."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from gateway.backends.contract import Backend
from gateway.backends.kube.tables import Table
from gateway.errors import Refused
from gateway.protocol.actor import Actor
from gateway.server.lists.live_list import LiveList, Viewer
from gateway.settings.config import Limits
from gateway.supervision import supervise


class Key(NamedTuple):
    """Names a list: what is listed, where, and in whose name the cluster is asked."""

    cluster: str
    kind: str
    namespace: str  # empty: all
    actor: Actor | None


@dataclass
class _Kept:
    live: LiveList
    task: "asyncio.Task[None]"
    linger: asyncio.TimerHandle | None = field(default=None)


class LiveLists:
    """Starts a list for its first viewer, in `tasks`, and ends the list `Limits.list_linger` seconds after its last."""

    def __init__(self, tasks: asyncio.TaskGroup, backends: Mapping[str, Backend], limits: Limits) -> None:
        self._tasks = tasks
        self._backends = backends
        self._limits = limits
        self._kept: dict[Key, _Kept] = {}
        self.restarts: dict[str, str] = {}  # see `supervise`

    def __len__(self) -> int:
        return len(self._kept)

    @contextmanager
    def viewing(self, key: Key) -> Iterator[tuple[LiveList, Viewer]]:
        """Yields the list, and what changes in it while the block runs. Raises Refused where there are too many lists."""
        kept = self._kept.get(key) or self._start(key)
        if kept.linger:
            kept.linger.cancel()
            kept.linger = None
        viewer = Viewer(kept.live.rows)
        kept.live.viewers.add(viewer)
        try:
            yield kept.live, viewer
        finally:
            kept.live.viewers.discard(viewer)
            if not kept.live.viewers and self._kept.get(key) is kept:  # else it has ended
                later = asyncio.get_running_loop().call_later
                kept.linger = later(self._limits.list_linger, self._end, key)

    def stop(self) -> None:
        """Ends every list: the gateway stops."""
        for key in list(self._kept):
            self._end(key)

    def _start(self, key: Key) -> _Kept:
        unseen = [one for one, kept in self._kept.items() if kept.linger]
        if len(self._kept) >= self._limits.lists and unseen:
            self._end(unseen[0])
        if len(self._kept) >= self._limits.lists:
            raise Refused("too_many_lists", f"{self._limits.lists} lists are looked at here: leave one first")
        api = self._backends[key.cluster].kube.acting(key.actor)
        live = LiveList(Table(api, key.kind, key.namespace), self._limits)
        name = f"list_{key.kind}"
        task = self._tasks.create_task(supervise(name, partial(live.run), self.restarts))
        self._kept[key] = _Kept(live, task)
        return self._kept[key]

    def _end(self, key: Key) -> None:
        kept = self._kept.pop(key)
        if kept.linger:
            kept.linger.cancel()
        kept.task.cancel()
