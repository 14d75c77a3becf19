"""A command's input: what came, until the command has taken it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from .loop import OwnLoop


class Stdin:
    """Of a command that does not read any more it is taken and forgotten.

    `wrote` is called with bytes that are gone. `received` counts those that came.
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
        """Where it goes. A pipe is closed here; a terminal is not, since output comes from it too."""
        os.set_blocking(fd, False)
        self._fd, self._terminal = fd, terminal

    def write(self, data: bytes) -> None:
        """In order; what it does not take yet waits."""
        self.received += len(data)
        self._parts.append(data)
        self.feed()

    @property
    def waiting(self) -> int:
        """Bytes that it has not taken yet."""
        return sum(map(len, self._parts))

    def write_eof(self) -> None:
        """End of input, after what was written; in a terminal there is none."""
        if not self._terminal:
            self._eof = True
            self.feed()

    def feed(self) -> None:
        """As much as it takes now."""
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
        """Nothing more is written."""
        if self._fd is not None and self._terminal:
            self._loop.writable(self._fd, None)
        elif self._fd is not None:
            self._loop.close(self._fd)
        self._fd = None
