"""Stores records of (stream, bytes) with one byte offset over both, until they are dropped.

The newest bytes are in memory; what a slow reader leaves behind goes to a private file that is used as a
ring, so that it never grows beyond the capacity. The file has no name: it ends with the process.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from bisect import bisect_right
from collections import deque

_MERGE = 4096  # bytes below which a record grows instead of a new one being made
_RUN = 64  # bytes of capacity that a change of stream may cost
FLOOD = 65536  # bytes that wait, from where on `skip_flood` drops them
_TAIL = 4096  # bytes of them that it leaves: a prompt is among them
_TRIED = 65536  # bytes: a full disk may have room for a few


class JournalFull(Exception):  # noqa: N818  # a state, not a mistake
    """Raised by `append`, which took nothing, when the bytes that are not dropped yet reach the capacity."""


class Runs:
    """Records where the stream changes, eight bytes for each change: a command may change it with every byte."""

    def __init__(self) -> None:
        self._starts = array("Q")  # offset * 256 + stream
        self._first = 0  # of those that are not dropped

    def __len__(self) -> int:
        return len(self._starts) - self._first

    def add(self, offset: int, stream: int) -> None:
        """Records that bytes of the stream begin at the offset, the end of those before."""
        if not self or self._starts[-1] % 256 != stream:
            self._starts.append(offset * 256 + stream)

    def at(self, offset: int) -> tuple[int, int | None]:
        """Returns the stream of the byte at the offset, and the offset where the next stream begins; None for
        the last stream.
        """
        after = bisect_right(self._starts, offset * 256 + 255, self._first)
        return self._starts[after - 1] % 256, self._starts[after] // 256 if after < len(
            self._starts
        ) else None

    def drop(self, offset: int) -> None:
        """Forgets the changes before the one that the offset belongs to."""
        if len(self) < 2 or self._starts[self._first + 1] // 256 > offset:
            return
        self._first = bisect_right(self._starts, offset * 256 + 255, self._first) - 1
        if self._first > len(self._starts) // 2:
            del self._starts[: self._first]
            self._first = 0


class Journal:
    """Keeps the bytes from `start`, the oldest offset, to `end`, the next one. Writing to the spool blocks
    for as long as the page cache takes (about 1 GB/s); with a spool that cannot be written the journal is
    full at what memory holds. A journal with `newest` is never full: it drops its oldest bytes, an eighth of
    its capacity at a time.
    """

    def __init__(
        self,
        memory: int = 1 << 20,
        capacity: int = 256 << 20,
        directory: str | None = None,
        *,
        newest: bool = False,
    ) -> None:
        self.start = self.end = 0
        self.problem = ""  # why the spool cannot be written
        self._newest = newest
        self._least = min(memory, capacity) if newest else 0
        self.closed = False
        self._memory = min(memory, capacity)
        self._capacity = self._ring = capacity
        self._directory = directory
        self._recent: deque[tuple[int, bytes]] = deque()  # (offset, bytes), the newest at the right
        self._in_memory = 0  # bytes in _recent
        self._runs = Runs()
        self._file: int | None = None

    def append(self, stream: int, data: bytes) -> None:
        """Appends all of `data`, or raises JournalFull and appends nothing. Raises ValueError on a closed
        journal.
        """
        if self.closed:
            raise ValueError("the journal is closed")
        if not data:
            return
        if self._newest and len(data) > self.free:
            data = self._drop_for(data)
        if len(data) > self.free or len(self._runs) > max(self._capacity // _RUN, 1):
            raise JournalFull
        self._runs.add(self.end, stream)
        if self._recent and len(self._recent[-1][1]) + len(data) <= _MERGE:
            offset, last = self._recent[-1]
            self._recent[-1] = (offset, last + data)
        else:
            self._recent.append((self.end, data))
        self._in_memory += len(data)
        self.end += len(data)
        while self._in_memory > self._memory:
            self._spill(*self._recent.popleft())

    def _drop_for(self, data: bytes) -> bytes:
        """Drops the oldest bytes so that `data` fits, and returns the end of `data` that the capacity can
        hold.
        """
        over = len(data) - self._capacity
        if over > 0:
            self.skip_to(self.end + over)
            return data[over:]
        self.drop(max(self.start + self._capacity // 8, self.end + over))
        return data

    @property
    def free(self) -> int:
        """Returns the capacity minus the bytes kept: how many more bytes fit without a drop.

        The number is negative where the spool failed while it held bytes: the capacity is then what memory
        holds. With `newest`, `append` takes more than this: the journal drops its oldest bytes first.
        """
        return self._capacity - (self.end - self.start)

    def close(self) -> None:
        """Refuses further appends; the bytes kept stay readable."""
        self.closed = True

    def read(self, offset: int, limit: int = 32768) -> tuple[int, bytes] | None:
        """Returns (stream, at most `limit` bytes of it) from `offset`; None at the end. Raises ValueError for
        an offset that is dropped or beyond the end.
        """
        if not self.start <= offset <= self.end:
            raise ValueError(f"the journal has no offset {offset}: {self.start} to {self.end}")
        if offset == self.end:
            return None
        stream, stop = self._runs.at(offset)
        limit = min(limit, (stop or self.end) - offset)
        first = self.end - self._in_memory
        return stream, self._spooled(offset, min(limit, first - offset)) if offset < first else self._held(
            offset, limit
        )

    def drop(self, offset: int) -> None:
        """Frees everything before `offset`; beyond the end it means the end."""
        self.start = max(self.start, min(offset, self.end))
        while self._recent and self._recent[0][0] + len(self._recent[0][1]) <= self.start:
            self._in_memory -= len(self._recent.popleft()[1])
        self._runs.drop(self.start)
        if self._file is not None and self.start >= self.end - self._in_memory:
            os.close(self._file)
            self._file = None

    def skip_flood(self, offset: int) -> bool:
        """Drops all but the newest of a flood that waits behind `offset`: after an interrupt no more is
        wanted. True if more than FLOOD bytes waited and were dropped.
        """
        flood = self.end - offset > FLOOD
        if flood:
            self.drop(self.end - _TAIL)
        return flood

    def skip_to(self, offset: int) -> None:
        """Drops everything, and goes on at `offset`, which is at or behind the end: the bytes before it are
        not to be had.
        """
        self.drop(self.end)
        self._runs = Runs()
        self.start = self.end = offset

    def discard(self) -> None:
        """Closes the journal and frees everything, the file too."""
        self.close()
        self.drop(self.end)

    def _held(self, offset: int, limit: int) -> bytes:
        parts, need = [], limit
        for begin, data in self._recent:
            if begin + len(data) <= offset:
                continue
            part = (
                data[offset - begin : offset - begin + need] if offset > begin or len(data) > need else data
            )
            parts.append(part)
            offset += len(part)
            need -= len(part)
            if need <= limit // 2:
                break  # a large part alone is not worth the copy
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _spill(self, offset: int, data: bytes) -> None:
        self._in_memory -= len(data)
        if offset < self.start:  # what is dropped needs no position in the ring, and might have none
            offset, data = self.start, data[self.start - offset :]
        if not data:
            return
        try:
            if self._file is None:
                self._file = _nameless_file(self._directory)
            for position, part in self._ring_parts(offset, data):
                while part:
                    written = os.pwrite(self._file, part, position)
                    position, part = position + written, part[written:]  # noqa: PLW2901
        except OSError as error:
            self.problem = error.strerror or str(error)
            self._recent.appendleft((offset, data))
            self._in_memory += len(data)
            self._memory = self._capacity = max(
                self._in_memory, self._least
            )  # keeps what is here, takes no more

    def _spooled(self, offset: int, limit: int) -> bytes:
        assert self._file is not None
        position = offset % self._ring
        return os.pread(self._file, min(limit, self._ring - position), position)

    def _ring_parts(self, offset: int, data: bytes) -> list[tuple[int, bytes]]:
        position = offset % self._ring
        free = self._ring - position
        return [(position, data[:free]), (0, data[free:])] if len(data) > free else [(position, data)]


def try_spool(directory: str) -> None:
    """Writes 64 KiB where a journal would, and frees them. Raises OSError when the disk refuses them."""
    handle = _nameless_file(directory)
    try:
        os.pwrite(handle, bytes(_TRIED), 0)
    finally:
        os.close(handle)


def _nameless_file(directory: str | None) -> int:
    handle, name = tempfile.mkstemp(prefix="dap-", dir=directory)  # 0600
    os.unlink(name)  # a handle and a name, no Path
    return handle
