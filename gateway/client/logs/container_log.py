"""Reads the log of one container, and goes on with it after lost hops, restarts of the container and rotations of its log,
without a line lost or doubled.
"""

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from gateway.client.cluster import Cluster
from gateway.client.logs.container_state import ContainerState, container_state
from gateway.client.logs.lines import LogLine, stamped
from gateway.client.logs.merge import Lane
from gateway.client.logs.position import Position
from gateway.client.logs.silence import Silence
from gateway.client.logs.wish import Event, Notice, Source, Wish
from gateway.client.outage import Outage
from gateway.client.stream import Answer
from gateway.errors import DapError, HopFailed

_FIRST, _MOST = 0.25, 4.0  # seconds between looks at a container that does not run, or whose log has ended
_HEAD = 30.0  # seconds for a log that is not followed to begin
_GONE = (  # what a kubelet says in place of a log, with status 200
    b"unable to retrieve container logs for ",
    b"failed to try resolving symlinks in path ",
)
_NOT_FOUND = 404
_REFUSED = (400, 404)  # there is no run before this one


class ContainerLog:
    """Reads the log of `source`, and puts its lines into `lane`. `joined`: the pod is new, and all of its log is wanted."""

    def __init__(
        self, cluster: Cluster, source: Source, wish: Wish, lane: Lane, *, joined: bool = False
    ) -> None:
        self._cluster = cluster
        self._source = source
        self._wish = wish
        self._lane = lane
        self._joined = joined
        self._position = Position()
        self._outage = Outage(wish.patience, self._say, worked=True)
        self._silence = Silence(wish.silence)
        self.ready = asyncio.Event()  # what comes from now on is read

    async def run(self) -> None:
        """Reads the log to its end, or for ever. Raises GatewayFailed, HopFailed: for a hop that stays lost, and for what no
        wait mends.
        """
        if self._wish.previous and not self._joined:
            await self._outage.bridge(self._read_part, previous=True)
        elif not self._wish.follow:
            await self._outage.bridge(self._read_once)
        elif not self._joined and (self._wish.since, self._wish.tail) != (None, None):
            await self._outage.bridge(self._begin)
        self.ready.set()
        if self._wish.follow:
            await self._follow()

    async def _read_once(self) -> None:
        state = await self._look()
        if not state.runs:
            raise self._not_started(state)
        await self._read_part()

    async def _begin(self) -> None:
        """Reads the part of the log that is there now, before what comes is followed. There is none of what has not begun."""
        state = await self._look()
        if state.runs:
            await self._read_part(silent=self._wish.tail == 0)
            self._position.skip_earlier()

    async def _read_part(self, *, previous: bool = False, silent: bool = False) -> None:
        """Reads the wanted part of the log. After a lost hop all that is behind the last line is wanted."""
        query: dict[str, Any] = {}
        if not self._position.since:
            query |= {} if self._wish.tail is None else {"tailLines": self._wish.tail or 1}
            query |= {} if self._wish.since is None else {"sinceSeconds": max(1, round(self._wish.since))}
        await self._read(query | ({"previous": "true"} if previous else {}), silent=silent)

    async def _follow(self) -> None:
        pause, restarts, waits = _FIRST, None, False
        while True:
            try:
                state = await self._look()
                if restarts is not None and state.restarts > restarts:
                    await self._catch_up(state.restarts - restarts)
                restarts = state.restarts
                came = 0
                if state.runs:
                    came = await self._read({} if state.over else {"follow": "true"})
                elif not state.over and not waits:
                    waits = True
                    self._say("waits", f"has not started: {state.why}")
                if state.over:
                    self._say("ended", state.why)
                    return
                pause = _FIRST if came else min(2 * pause, _MOST)
                await asyncio.sleep(pause)
            except DapError as error:
                if not error.status or error.status.code not in _REFUSED:
                    await self._outage.endure(error)
                await asyncio.sleep(pause)  # the next look says whether the container starts, or is gone
                pause = min(2 * pause, _MOST)

    async def _catch_up(self, restarts: int) -> None:
        """Reads what the run before wrote last. The runs between are not to be had."""
        if restarts > 1:
            self._say("gap", f"was restarted {restarts} times meanwhile: of these runs only the last is kept")
        try:
            await self._read({"previous": "true"}, expects=restarts == 1)
        except DapError as error:
            if not (error.status and error.status.code in _REFUSED):
                raise
            self._say("gap", "what its run before wrote last is not to be had")
        self._position.new_run()
        self._say("restarted", "")

    async def _read(self, query: Mapping[str, Any], *, silent: bool = False, expects: bool = True) -> int:
        """Reads the log behind the position to its end, and returns how many lines were new. `expects`: the last lines that
        were read have to be there once more.
        """
        self._position.begin()
        since = self._position.since
        more = {
            "container": self._source.container,
            "timestamps": "true",
            **({"sinceTime": since} if since else {}),
        }
        path = f"{self._pod_path}/log?{urlencode({**query, **more})}"
        follows = "follow" in query
        async with (
            self._silence.guard(self._newest if follows else None, self._outage.over) as reopened,
            self._cluster.stream(path, seconds=None if follows else _HEAD) as answer,
        ):
            self._outage.over()
            came = await self._take(answer, silent=silent, expects=expects)
            if self._wish.since is not None and not self._position.since:
                self._position.skip_before(_sent(answer) - round(self._wish.since * 10**9))
        if reopened():
            self._say("reopened", "")
            return 1
        return came

    async def _take(self, answer: Answer, *, silent: bool, expects: bool) -> int:
        came, source, name = 0, self._source, str(self._source)
        async for line in stamped(answer.body):
            self._silence.heard()
            if not line.time and line.data.startswith(_GONE):
                self._say("gap", "the node has this log no more")
                continue
            if not self._position.take(line.time):
                continue
            if expects and self._position.missing:
                self._say("gap", "its log was rotated meanwhile: lines may be missing here")
            expects, came = False, came + 1
            if not silent:
                with self._silence.busy():
                    await self._lane.put(
                        LogLine(name, source.pod, source.container, line.time, line.stamp, line.data)
                    )
        return came

    async def _newest(self) -> bool:
        """Returns True if the log has a line that was not read."""
        query = {"container": self._source.container, "timestamps": "true", "tailLines": "1"}
        async with self._cluster.stream(f"{self._pod_path}/log?{urlencode(query)}", seconds=_HEAD) as answer:
            return any([not self._position.knows(line.time) async for line in stamped(answer.body)])

    async def _look(self) -> ContainerState:
        """Returns the state of the container now."""
        try:
            pod = await self._cluster.get(self._pod_path)
        except DapError as error:
            if not error.status or error.status.code != _NOT_FOUND:
                raise
            pod = None
        return container_state(pod, self._source.uid, self._source.container)

    @property
    def _pod_path(self) -> str:
        return f"/api/v1/namespaces/{self._source.namespace}/pods/{self._source.pod}"

    def _not_started(self, state: ContainerState) -> HopFailed:
        where = f"container {self._source.container} of pod {self._source.pod}"
        return HopFailed(
            "container_not_running", f"{where} has no log yet: {state.why or 'it has not started'}"
        )

    def _say(self, event: Event, why: str) -> None:
        self._lane.say(Notice(event, self._source, why))


def _sent(answer: Answer) -> int:
    """Returns when the API server has sent the answer, by its own clock, in nanoseconds since the epoch."""
    try:
        return int(parsedate_to_datetime(answer.header("date")).timestamp()) * 10**9
    except ValueError:
        return time.time_ns()
