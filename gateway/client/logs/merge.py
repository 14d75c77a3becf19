"""Merges the lines of several containers in the order of their times."""

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.client.logs.lines import LogLine
from gateway.client.logs.wish import Notice

_HELD = 256 * 1024  # bytes of one container's lines that may wait for others

Item = LogLine | Notice
Deliver = Callable[[Item], Awaitable[None]]


class Lane:
    """Holds the lines of one container that wait to be delivered, in order."""

    def __init__(self, merge: "Merge", number: int) -> None:
        self._merge = merge
        self._number = number
        self._last = 0
        self._room = asyncio.Event()
        self._room.set()
        self.lines: deque[tuple[int, float, Item]] = deque()
        self.size = 0
        self.closed = False

    async def put(self, line: LogLine) -> None:
        """Adds a line, and waits while too many wait. A wait that is cancelled leaves the line in the lane."""
        # what has no time, or stands out of order within its log, stays where it is in the log
        self._last = max(self._last, line.time)
        self.size += len(line.data)
        if self.size > _HELD:
            self._room.clear()
        self.say(line)
        await self._room.wait()  # only now: its reader has counted the line as taken

    def say(self, item: Item) -> None:
        """Adds an item behind what is there, without waiting: for the few notices."""
        self.lines.append((self._last, asyncio.get_running_loop().time(), item))
        if len(self.lines) == 1:
            self._merge.arrived(self)

    def take(self) -> Item:
        """Removes and returns the first item."""
        _, _, item = self.lines.popleft()
        self.size -= len(item.data) if isinstance(item, LogLine) else 0
        if self.size <= _HELD:
            self._room.set()
        return item

    def close(self) -> None:
        """Ends the lane, behind its last line."""
        self.closed = True
        self._merge.closed(self)

    @property
    def key(self) -> tuple[int, int]:
        """Returns by what lanes with a line are ordered."""
        return self.lines[0][0], self._number


class Merge:
    """Delivers the oldest line of all lanes, as soon as each lane has one or the line has waited for `window` seconds."""

    def __init__(self, window: float, deliver: Deliver) -> None:
        self._window = window
        self._deliver = deliver
        self._idle = 0  # lanes that are open and have no line
        self._heap: list[tuple[tuple[int, int], Lane]] = []
        self._count = 0
        self._over = False
        self.changed = asyncio.Event()

    def lane(self) -> Lane:
        """Returns a new lane."""
        self._count += 1
        self._idle += 1
        return Lane(self, self._count)

    def arrived(self, lane: Lane) -> None:
        """Takes note that an empty lane has a line now."""
        self._idle -= 1
        heapq.heappush(self._heap, (lane.key, lane))
        self.changed.set()

    def closed(self, lane: Lane) -> None:
        """Takes note that no line will come behind those that a lane has."""
        self._idle -= not lane.lines
        self.changed.set()

    def say(self, notice: Notice) -> None:
        """Adds a notice of no lane's."""
        lane = self.lane()
        lane.say(notice)
        lane.close()

    def finish(self) -> None:
        """Has `run` return once all lines are delivered; no other lane may come."""
        self._over = True
        self.changed.set()

    async def run(self) -> None:
        """Delivers lines until `finish`."""
        loop = asyncio.get_running_loop()
        while True:
            self.changed.clear()
            if not self._heap:
                if self._over:
                    return
                await self.changed.wait()
                continue
            left = self._heap[0][1].lines[0][1] + self._window - loop.time()
            if left <= 0 or self._over or not self._idle:
                await self._deliver(self._first())
                continue
            try:
                async with asyncio.timeout(left if math.isfinite(left) else None):
                    await self.changed.wait()
            except TimeoutError:
                pass

    def _first(self) -> Item:
        _, lane = heapq.heappop(self._heap)
        line = lane.take()
        if lane.lines:
            heapq.heappush(self._heap, (lane.key, lane))
        elif not lane.closed:
            self._idle += 1
        return line
