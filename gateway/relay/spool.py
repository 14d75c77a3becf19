"""Stores the output that memory does not hold: a private file for each journal, used as a ring, and a limit on all of
these files together.

A file has no name: it ends with the process. A slow disk delays only those that wait for this very file, since a
thread writes: what is not written yet stays readable in memory.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from .writer import Writer, at_once


class Spools:
    """Limits the bytes on disk of all journals of a process: `most` in all, `per_owner` for those of one owner; 0: any
    number. Their files are written by one thread; with `inline` by whoever calls.
    """

    def __init__(self, most: int = 0, per_owner: int = 0, *, inline: bool = False) -> None:
        self._limits = most, per_owner
        self._taken: Counter[str | None] = Counter()  # None: of all owners
        self.put: Callable[[Callable[[], None]], None] = at_once if inline else Writer().put

    @property
    def taken(self) -> int:
        """Returns how many bytes all files have."""
        return self._taken[None]

    def take(self, owner: str, count: int) -> str:
        """Counts `count` more bytes of the owner's, and returns nothing; where a limit would be passed, counts nothing
        and returns the words that say which.
        """
        most, per_owner = self._limits
        for key, limit, whose in (
            (None, most, "all sessions"),
            (owner, per_owner, f"the sessions of {owner}"),
        ):
            if limit and key != "" and self._taken[key] + count > limit:
                return f"what {whose} keep on disk may take {_size(limit)}"
        self._change(owner, count)
        return ""

    def give_back(self, owner: str, count: int) -> None:
        """Counts `count` bytes of the owner's less."""
        self._change(owner, -count)

    def _change(self, owner: str, count: int) -> None:
        for key in (None, owner):
            self._taken[key] += count
            if not self._taken[key]:
                del self._taken[key]


class Spool:
    """Keeps what is put, in order of offsets, in a ring of `size` bytes: first in memory, then in the file. `problem`
    says why the file cannot be written: what is not written yet then stays in memory, and the rest in the file.
    """

    def __init__(self, size: int, directory: str | None, spools: Spools, owner: str) -> None:
        self.problem = ""
        self.limit = ""  # says which limit ended the growth of the file
        self.extent = 0  # bytes that the file has, or will have once all is written
        self.waiting = 0  # bytes that are not in the file yet
        self._size = size
        self._directory = directory
        self._spools = spools
        self._owner = owner
        self._start = self._base = -1  # the oldest offset that is wanted; the offset at the file's beginning
        self._file: int | None = None
        self._lock = threading.Lock()  # for what follows, and `waiting`
        self._unwritten: deque[tuple[int, bytes]] = deque()
        self._under_way = 0  # how many of these are being written
        self._written = 0
        self._busy = False

    def put(self, offset: int, data: bytes) -> bool:
        """Takes `data`, which begins at the offset, behind all that was taken before. False where nothing was taken: the
        ring is full, the file may not grow, or it cannot be written.
        """
        if self._base < 0:
            self._start = self._base = self._written = offset
        end = offset + len(data)
        if self.problem or end - self._start > self._size or not self._grow(end):
            return False
        with self._lock:
            self._unwritten.append((offset, data))
            self.waiting += len(data)
            busy, self._busy = self._busy, True
        if not busy:
            self._spools.put(self._work)
        return True

    def _grow(self, end: int) -> bool:
        """Counts the bytes that the file has to grow by for what ends at `end`. Where they are refused, the file as it is
        is the ring from now on: all offsets keep their positions, since the larger ring never came round.
        """
        more = min(end - self._base, self._size) - self.extent
        if more > 0:
            self.limit = self._spools.take(self._owner, more)
            if self.limit:
                self._size = self.extent
                return False
            self.extent += more
        return True

    def read(self, offset: int, limit: int) -> bytes:
        """Returns some bytes from the offset on, at least one and at most `limit`, of what was put."""
        with self._lock:
            for begin, data in self._unwritten:
                if begin <= offset < begin + len(data):
                    return data[offset - begin : offset - begin + limit]
            limit = min(limit, self._written - offset)
        assert self._file is not None
        position = self._position(offset)
        return os.pread(self._file, min(limit, self._size - position), position)

    def drop(self, offset: int) -> None:
        """Forgets what stands before the offset."""
        self._start = max(self._start, offset)
        with self._lock:
            rest = self._unwritten
            first = self._under_way
            while len(rest) > first and rest[first][0] + len(rest[first][1]) <= offset:
                self.waiting -= len(rest[first][1])
                del rest[first]

    def close(self) -> None:
        """Frees everything; the file once the disk allows."""
        extent, self.extent = self.extent, 0
        self._spools.give_back(self._owner, extent)
        with self._lock:
            self._unwritten.clear()
            self.waiting = self._under_way = 0
        if extent:
            self._spools.put(self._close)

    def _work(self) -> None:
        """Writes what waits. The writer calls, in its thread; where more waits then, it is the next spool's turn first."""
        with self._lock:
            offset, data = self._take()
        try:
            self._write(offset, data)
        except Exception as error:  # noqa: BLE001  # a defect, too, is a reason why this spool cannot go on
            self.problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
        with self._lock:
            if not self.problem:
                self._written = max(self._written, offset + len(data))
                self.waiting -= sum(len(self._unwritten.popleft()[1]) for _ in range(self._under_way))
            self._under_way = 0
            self._busy = more = bool(self._unwritten and not self.problem)
        if more:
            self._spools.put(self._work)

    def _take(self) -> tuple[int, bytes]:
        """Returns the oldest bytes that are not written, as far as they are of one piece."""
        begin = end = self._unwritten[0][0] if self._unwritten else 0
        for offset, data in self._unwritten:
            if offset != end:
                break
            end += len(data)
            self._under_way += 1
        return begin, b"".join(data for _, data in islice(self._unwritten, self._under_way))

    def _write(self, offset: int, data: bytes) -> None:
        if data and self._file is None:
            self._file = nameless_file(self._directory)
        file, position, part = self._file, self._position(offset), memoryview(data)
        while part and file is not None:
            written = os.pwrite(file, part[: self._size - position], position)
            position, part = (position + written) % self._size, part[written:]

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what it held is not wanted
                os.close(file)

    def _position(self, offset: int) -> int:
        return (offset - self._base) % self._size


def nameless_file(directory: str | None) -> int:
    """Returns the descriptor of a new private file that ends with its last descriptor. Where the file system can (O_TMPFILE),
    the file never has a name: a relay that is killed at the wrong moment leaves none.
    """
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:  # 0600
        return os.dup(file.fileno())


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} bytes"
