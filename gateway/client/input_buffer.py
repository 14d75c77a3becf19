"""Holds what was typed and has not safely arrived yet. Pure but for the spool: no asyncio, no clock.

Offsets count bytes of input from the session's beginning:

    dropped │ sent, unsure │ waits for credit │ not read yet
            received       sent               typed

After a loss everything from where the new hello says is sent again. What waits for credit is in memory first, then in a
private file, so that reading the terminal goes on: a Ctrl-C behind 100 MB of a paste can only be seen by reading the
100 MB. It discards them, as a terminal's own line discipline does.
"""

from gateway.protocol.codec import CHUNK
from gateway.relay.journal import Journal

_MEMORY = 1 << 20  # bytes in memory; more is in the file
_CAPACITY = 256 << 20  # bytes in all; above that the terminal is not read, and Ctrl-C not seen


class InputBuffer:
    """Holds input until the gateway acknowledges it. `window` of `begin` and `again`: bytes that may be on
    their way unacknowledged; without them nothing is acknowledged, nor sent again.
    """

    def __init__(self, memory: int = _MEMORY, capacity: int = _CAPACITY) -> None:
        self._limits = (memory, capacity)
        self._journal = Journal(memory, capacity)
        self._base = 0  # the offset where the journal begins
        self._received = 0
        self._sent = 0
        self._reach = 0  # the farthest that was ever sent
        self._first = 0  # where our input begins
        self._window: int | None = None
        self._limit = 0  # up to here there is credit

    @property
    def free(self) -> int:
        """Returns how many more bytes the buffer takes."""
        return self._journal.free

    @property
    def waiting(self) -> int:
        """Returns how many bytes were never sent, for want of credit or of a connection."""
        return self._base + self._journal.end - self._reach

    def add(self, data: bytes) -> None:
        """Appends all of `data`. Raises JournalFull where it does not fit."""
        self._journal.append(0, data)

    def next(self) -> bytes:
        """Returns the next bytes that may be sent, at most CHUNK, and counts them as sent; empty when there
        are none.
        """
        credit = CHUNK if self._window is None else self._limit - self._sent
        record = self._journal.read(self._sent - self._base, min(CHUNK, credit)) if credit > 0 else None
        if record is None:
            return b""
        data = record[1]
        self._sent += len(data)
        self._reach = max(self._reach, self._sent)
        if self._window is None:
            self._journal.drop(self._sent - self._base)
        return data

    def received(self, offset: int) -> bool:
        """Drops what is before `offset`, which the gateway has acknowledged, and extends the credit. False
        for an offset that cannot be.
        """
        if not self._received <= offset <= self._reach:
            return False
        self._received = offset
        self._limit = max(self._limit, offset + (self._window or 0))
        self._journal.drop(offset - self._base)
        return True

    def again(self, offset: int, window: int) -> bool:
        """Goes back to `offset` after a later hello, to send from there again. Keeps everything: what only
        the gateway has can go with it, so that the next hello may say less. False for an offset that cannot
        be.
        """
        if (
            offset < self._received == self._first
        ):  # input of the client before us is lost, and not ours to send
            self._renumber(offset - self._received)
        if not self._received <= offset <= self._reach:
            return False
        self._sent, self._window, self._limit = offset, window, offset + window
        return True

    def begin(self, offset: int, window: int) -> None:
        """Starts at the first hello: the session's input up to `offset` is not ours; what is held comes
        behind it.
        """
        assert not self._reach
        self._renumber(offset)
        self._window, self._limit = window, offset + window

    def _renumber(self, change: int) -> None:
        self._first += change
        self._base += change
        self._received += change
        self._sent += change
        self._reach += change

    def discard(self) -> None:
        """Drops what was never sent. What was sent may have arrived, so that it stays."""
        if not self.waiting:
            return
        kept, at = Journal(*self._limits), self._received - self._base
        while at < self._reach - self._base:
            record = self._journal.read(at, min(CHUNK, self._reach - self._base - at))
            assert record
            kept.append(0, record[1])
            at += len(record[1])
        self._journal.discard()
        self._journal, self._base = kept, self._received

    def close(self) -> None:
        """Frees everything."""
        self._journal.discard()
