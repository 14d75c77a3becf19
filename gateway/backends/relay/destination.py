"""Remembers to which cluster kubectl in the runner leads: its context may be changed while the gateway runs."""

from collections.abc import Awaitable, Callable


class Destination:
    """Asks `cluster` where kubectl leads whenever another proxy begins, and calls `moved` with the old and the new
    answer where they differ.
    """

    def __init__(self, cluster: Callable[[], Awaitable[str]], moved: Callable[[str, str], None]) -> None:
        self._cluster = cluster
        self._moved = moved
        self._where = ""  # the last answer; empty where kubectl has not told

    async def find(self) -> None:
        """Asks where a new proxy leads. Call before anything is read there."""
        before, now = self._where, await self._cluster()
        self._where = now or before
        if before and now not in ("", before):
            self._moved(before, now)
