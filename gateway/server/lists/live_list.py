"""A list that is kept as the cluster has it, once for all who look at it."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass
from typing import Any

from gateway.backends.kube.tables import Row, Table, expired
from gateway.errors import HopFailed
from gateway.settings.config import Limits

_PAUSES = (1.0, 2.0, 5.0, 10.0, 15.0)  # seconds before a failed list is read again
_REFUSED = 30.0  # seconds before a list is asked for again that nobody may see
_TURN = 1.0  # seconds that a watch takes at least: the API server may end each at once


@dataclass(frozen=True)
class State:
    """Says how far a list is to be believed. `name`: `loading`, `live`, `stale` (was live, and is not kept up now),
    `forbidden` or `failed` (nothing is known). `of`: rows there are, where somebody knows; `cut`: the list has only the
    first of them. `every`: seconds between two looks, where no watch tells of changes. `since`: seconds of the epoch.
    """

    name: str
    have: int = 0
    of: int | None = None
    cut: bool = False
    every: float = 0.0
    code: str = ""
    hop: str = ""
    message: str = ""
    since: float = 0.0

    def body(self) -> dict[str, Any]:
        """Returns the state as the page gets it, with this machine's time: the page's clock may be another's."""
        return {**asdict(self), "now": round(time.time(), 3)}


class Viewer:
    """Holds what one page has still to be told of a list."""

    def __init__(self, keys: Iterable[tuple[str, str]]) -> None:
        self.changed = asyncio.Event()
        self.keys = dict.fromkeys(keys)  # in order, each once, however often it changes
        self.state_changed = True
        self.changed.set()

    def take(self, most: int) -> list[tuple[str, str]]:
        """Returns the names of the next changed rows, and forgets them."""
        taken = [key for key, _ in zip(self.keys, range(most), strict=False)]
        for key in taken:
            del self.keys[key]
        if not self.keys:
            self.changed.clear()
        return taken


class LiveList:
    """Keeps `rows` and `state` up to date while `run` runs, and tells its viewers which changed."""

    def __init__(self, table: Table, limits: Limits) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.state = State("loading")
        self.viewers: set[Viewer] = set()
        self._table = table
        self._limits = limits
        self._cut: int | None = None  # rows there are, where the list has only the first of them
        self._again = asyncio.Event()

    def retry(self) -> None:
        """Ends the pause before a failed list is read again."""
        self._again.set()

    async def run(self) -> None:
        """Reads the list and watches it, for ever."""
        failures = 0
        while True:
            try:
                version = await self._load()
                failures = 0
                await self._follow(version)
            except HopFailed as error:
                again = expired(error)
                if not again:
                    self._failed(error)
                forbidden = self.state.name == "forbidden"
                await self._pause(_REFUSED if forbidden else _PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1

    async def _load(self) -> str:
        """Reads the whole list, and returns the version from which a watch goes on."""
        seen: set[tuple[str, str]] = set()
        version, self._cut = "", None
        most = self._limits.list_rows
        async with aclosing(self._table.pages()) as pages:
            async for page in pages:
                version = page.version
                for row in page.rows[: most - len(seen)]:
                    seen.add(row.key)
                    self._put(row)
                of = None if page.left is None else len(seen) + page.left
                if self.state.name in ("loading", "failed", "forbidden"):
                    self._say(State("loading", len(seen), of))
                if len(seen) >= most and page.left != 0:
                    self._cut = of or 0
                    break
        for key in [key for key in self.rows if key not in seen]:
            self._remove(key)
        self._live()
        return version

    async def _follow(self, version: str) -> None:
        """Takes changes over until the API server wants the list read anew. Raises HopFailed."""
        if not self._table.watches:
            await self._pause(self._limits.list_poll)
            return
        while version:
            began = time.monotonic()
            async with aclosing(self._table.changes(version, self._limits.list_silence)) as changes:
                async for change in changes:
                    version = change.version or version
                    if change.row and change.gone:
                        self._remove(change.row.key)
                    elif change.row and (self._cut is None or change.row.key in self.rows):
                        self._put(change.row)
            await asyncio.sleep(max(0.0, began + _TURN - time.monotonic()))

    async def _pause(self, seconds: float) -> None:
        self._again.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._again.wait()

    def _put(self, row: Row) -> None:
        if self.rows.get(row.key) != row:
            self.rows[row.key] = row
            self._changed(row.key)

    def _remove(self, key: tuple[str, str]) -> None:
        if self.rows.pop(key, None):
            self._changed(key)

    def _changed(self, key: tuple[str, str]) -> None:
        for viewer in self.viewers:
            viewer.keys[key] = None
            viewer.changed.set()

    def _live(self) -> None:
        every = 0.0 if self._table.watches else self._limits.list_poll
        self._say(State("live", len(self.rows), self._cut, cut=self._cut is not None, every=every))

    def _failed(self, error: HopFailed) -> None:
        """Says why the list is not kept up. What may not be seen any more is forgotten."""
        forbidden = error.code == "forbidden"
        if forbidden:
            for key in list(self.rows):
                self._remove(key)
        name = "forbidden" if forbidden else "stale" if self.rows else "failed"
        since = self.state.since if self.state.name == name else round(time.time(), 3)
        self._say(
            State(
                name,
                len(self.rows),
                code=error.code,
                hop=error.hop.value,
                message=error.message,
                since=since,
            )
        )

    def _say(self, state: State) -> None:
        if state != self.state:
            self.state = state
            for viewer in self.viewers:
                viewer.state_changed = True
                viewer.changed.set()
