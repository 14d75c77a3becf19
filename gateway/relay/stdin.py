"""Holds a command's input from its arrival until the command has taken it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from .loop import OwnLoop


class Stdin:
    """Writes input to a command as far as the command reads it. Input of a command that has stopped reading
    is dropped and counts as taken.

    `wrote` is called with the number of bytes taken or dropped. `received` counts the bytes that came.
    """

    def __init__(self, loop: OwnLoop) -> None:
        self.wrote: Callable[[int], None] = lambda _: None
        self.received = 0
        self._loop = loop
        self._fd: int | None = None
        self._terminal = False
        self._parts: deque[bytes] = deque()
        self._eof = False

    def begin(self, fd: int, *, terminal: bool) -> None:
        """Sets the descriptor that input is written to. `close` closes a pipe; a terminal stays open, since
        output comes from it too.
        """
        os.set_blocking(fd, False)
        self._fd, self._terminal = fd, terminal

    def write(self, data: bytes) -> None:
        """Queues `data` and writes what the command takes now."""
        self.received += len(data)
        self._parts.append(data)
        self.feed()

    @property
    def waiting(self) -> int:
        """Returns how many bytes the command has not taken yet."""
        return sum(map(len, self._parts))

    def write_eof(self) -> None:
        """Closes the pipe once everything queued is written; does nothing in a terminal."""
        if not self._terminal:
            self._eof = True
            self.feed()

    def feed(self) -> None:
        """Writes as much as the command takes now, and the rest as it becomes able to; calls `wrote`."""
        gone = 0
        while self._fd is not None and self._parts:
            data = self._parts[0]
            try:
                count = os.write(self._fd, data)
            except BlockingIOError:
                break
            except OSError:  # nobody reads it
                self.close()
                break
            gone += count
            if count < len(data):
                self._parts[0] = data[count:]
            else:
                self._parts.popleft()
        if self._fd is None:
            gone += self.waiting
            self._parts.clear()
        elif self._eof and not self._parts:
            self.close()
        else:
            self._loop.writable(self._fd, self.feed if self._parts else None)
        if gone:
            self.wrote(gone)

    def close(self) -> None:
        """Stops writing: closes a pipe, and leaves a terminal open."""
        if self._fd is not None and self._terminal:
            self._loop.writable(self._fd, None)
        elif self._fd is not None:
            self._loop.close(self._fd)
        self._fd = None
