"""Stores records of (stream, bytes) with one byte offset over both, until they are dropped.

The newest bytes are in memory; what a slow reader leaves behind goes to a spool (spool.py), which never grows beyond
the capacity.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import partial
from typing import Any

from .spool import Spool, Spools

_MERGE = 4096  # bytes below which a record grows instead of a new one being made
_RUN = 64  # bytes of capacity that a change of stream may cost
FLOOD = 65536  # bytes that wait, from where on `skip_flood` drops them
_TAIL = 4096  # bytes of them that it leaves: a prompt is among them
_BEHIND = 1 << 20  # bytes that wait for the disk, from where on whoever writes should wait too


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
    """Keeps the bytes from `start`, the oldest offset, to `end`, the next one. With a spool that cannot be written, or may
    take no more, the journal is full at what memory and the spool hold. A journal with `newest` is never full: it drops
    its oldest bytes, an eighth of its capacity at a time. `spools` limits the file; `owner`: whose limit counts.
    """

    def __init__(
        self,
        memory: int = 1 << 20,
        capacity: int = 256 << 20,
        directory: str | None = None,
        *,
        newest: bool = False,
        spools: Spools | None = None,
        owner: str = "",
    ) -> None:
        self.start = self.end = 0
        self.problem = ""  # why the spool cannot be written
        self.limit = ""  # which limit the spool has reached
        self._refused = False  # whether `append` has raised JournalFull
        self.closed = False
        self._newest = newest
        self._memory = min(memory, capacity)
        self._capacity = self._most = capacity
        self._new_spool = partial(Spool, capacity, directory, spools or Spools(inline=True), owner)
        self._recent: list[tuple[int, bytes]] = []  # (offset, bytes), the newest last; a few hundred
        self._in_memory = 0  # bytes in _recent
        self._runs = Runs()
        self._spool: Spool | None = None

    def append(self, stream: int, data: bytes) -> None:
        """Appends all of `data`, or raises JournalFull and appends nothing. Raises ValueError on a closed
        journal.
        """
        if self.closed:
            raise ValueError("the journal is closed")
        if not data:
            return
        self._look_at_spool()
        if self._newest and len(data) > self.free:
            data = self._drop_for(data)
        if len(data) > self.free or len(self._runs) > max(self._capacity // _RUN, 1):
            self._refused = True
            raise JournalFull
        self._runs.add(self.end, stream)
        if self._recent and len(self._recent[-1][1]) + len(data) <= _MERGE:
            offset, last = self._recent[-1]
            self._recent[-1] = (offset, last + data)
        else:
            self._recent.append((self.end, data))
        self._in_memory += len(data)
        self.end += len(data)
        self._spill()

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

        The number may be negative where the spool cannot be written, or may take no more, while it holds bytes.
        With `newest`, `append` takes more than this: the journal drops its oldest bytes first.
        """
        return self._capacity - (self.end - self.start)

    def spills(self, count: int) -> bool:
        """True where so many more bytes would move some that are in memory to the spool."""
        return 0 < self._in_memory > self._memory - count

    @property
    def behind(self) -> bool:
        """True while much waits for the disk: whoever writes more should wait, so that memory is bounded."""
        return self._spool is not None and self._spool.waiting > _BEHIND and not self._spool.problem

    def overrun(self) -> dict[str, Any]:
        """Returns what EXIT says of a command whose output did not fit: the disk's reason, or which limit was reached."""
        why = {"spool": self.problem} if self.problem else {"limit": self.limit} if self.limit else {}
        return {"error": "more output than the journal may hold", "full": True, **why}

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
        if self._spool and offset < first:
            return stream, self._spool.read(offset, min(limit, first - offset))
        return stream, self._held(offset, limit)

    def drop(self, offset: int) -> None:
        """Frees everything before `offset`; beyond the end it means the end."""
        self.start = max(self.start, min(offset, self.end))
        while self._recent and self._recent[0][0] + len(self._recent[0][1]) <= self.start:
            self._in_memory -= len(self._recent.pop(0)[1])
        self._runs.drop(self.start)
        if self._spool and self.start >= self.end - self._in_memory:
            self._spool.close()
            self._spool = None
        if self._spool:
            self._spool.drop(self.start)
        elif not self.problem:
            self._capacity = self._most  # a new spool may be allowed
            if not self._refused:  # else it is the reason, which is told later
                self.limit = ""

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

    def _spill(self) -> None:
        """Hands the oldest bytes in memory to the spool, as many as are too much for memory."""
        while self._in_memory > self._memory and not self.problem:
            offset, data = self._recent[0]
            spool = self._spool = self._spool or self._new_spool()
            kept = data[max(self.start - offset, 0) :]  # what is dropped needs no position in the ring
            if kept and not spool.put(max(offset, self.start), kept):
                break
            self._recent.pop(0)
            self._in_memory -= len(data)
        self._look_at_spool()

    def _look_at_spool(self) -> None:
        """Makes what is here the capacity where the spool takes no more."""
        spool = self._spool
        if spool and spool.problem and not self.problem:
            self.problem = spool.problem
            self._capacity = max(self._in_memory + spool.waiting, self._memory if self._newest else 0)
        elif spool and spool.limit:
            self.limit = spool.limit
            self._capacity = min(self._most, spool.extent + self._memory)
            if not spool.extent:
                self._spool = None
