"""Holds the input of a command, or of a connection, from its arrival until it is taken."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from .loop import OwnLoop


class Stdin:
    """Writes input as far as it is taken, once `begin` has said where. Input for whoever takes nothing any more is
    dropped and counts as taken.

    `wrote` is called with the number of bytes taken or dropped. `received` counts the bytes that came.
    """

    def __init__(self, loop: OwnLoop) -> None:
        self.wrote: Callable[[int], None] = lambda _: None
        self.received = 0
        self.closed = False  # nothing is written any more
        self._loop = loop
        self._fd: int | None = None
        self._end: Callable[[], None] | None = None
        self._parts: deque[bytes] = deque()
        self._eof = False

    def begin(self, fd: int, end: Callable[[], None] | None) -> None:
        """Sets the descriptor that input is written to. `end` is called once, after the last write; None for a
        terminal, which has no end of input and stays open, since output comes from it too.
        """
        os.set_blocking(fd, False)
        self._fd, self._end = fd, end

    def write(self, data: bytes) -> None:
        """Queues `data` and writes what is taken now."""
        self.received += len(data)
        self._parts.append(data)
        self.feed()

    @property
    def waiting(self) -> int:
        """Returns how many bytes have not been taken yet."""
        return sum(map(len, self._parts))

    def write_eof(self) -> None:
        """Ends the input once everything queued is written; does nothing in a terminal."""
        self._eof = True
        self.feed()

    def feed(self) -> None:
        """Writes as much as is taken now, and the rest as more is taken; calls `wrote`."""
        gone, over = 0, self.closed
        while self._fd is not None and self._parts:
            data = self._parts[0]
            try:
                count = os.write(self._fd, data)
            except BlockingIOError:
                break
            except OSError:  # nobody reads it
                over = True
                break
            gone += count
            if count < len(data):
                self._parts[0] = data[count:]
            else:
                self._parts.popleft()
        if over:
            gone += self.waiting
            self._parts.clear()
        if gone:
            self.wrote(gone)
        if over or (self._eof and self._end and not self._parts):
            self.close()
        elif self._fd is not None:
            self._loop.writable(self._fd, self.feed if self._parts else None)

    def close(self) -> None:
        """Stops writing: what is queued is dropped with the next `feed`."""
        fd, self._fd, self.closed = self._fd, None, True
        if fd is not None:
            self._loop.writable(fd, None)
            if self._end:
                self._end()
