"""Moves bytes between a file descriptor and a channel, at full speed and with backpressure both ways."""

import asyncio
import os
from collections import deque
from collections.abc import Callable

from gateway.relay.process import read_after_eio

READ_BYTES = 32 * 1024  # one SSH packet


class Outflow:
    """Delivers what a process writes, as it comes. Owns its descriptor and closes it at the end."""

    def __init__(self, fd: int, deliver: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._deliver = deliver
        self._paused = False
        self._fresh = False
        self._left: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    @property
    def fd(self) -> int | None:
        """Returns the descriptor, or None once it is closed."""
        return None if self._ended.is_set() else self._fd

    async def wait_ended(self) -> None:
        await self._ended.wait()

    def pause(self) -> None:
        if not self._paused and not self._ended.is_set():
            self._paused = True
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        if self._paused and not self._ended.is_set():
            self._paused = False
            self._fresh = True
            self._loop.add_reader(self._fd, self._read)

    def end_soon(self, quiet: float, limit: int | None) -> None:
        """Ends, after the process has gone, when nothing has come for `quiet` seconds while we were ready to
        read, or after `limit` more bytes.

        A grandchild may hold the other end open for ever; nobody waits that long for it.
        """
        if not self._ended.is_set():
            self._left = limit
            self._timer = self._loop.call_later(quiet, self._end_if_quiet, quiet)

    def _end_if_quiet(self, quiet: float) -> None:
        if not self._fresh and not self._paused:
            self.close()
            return
        self._fresh = False
        self._timer = self._loop.call_later(quiet, self._end_if_quiet, quiet)

    def close(self) -> None:
        if self._ended.is_set():
            return
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._ended.set()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # EIO: no process has the terminal open any more
            data = read_after_eio(self._fd, READ_BYTES)
        if not data:
            self.close()
            return
        self._fresh = True
        self._deliver(data)
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self.close()


class Inflow:
    """Writes what a process reads. Owns its descriptor.

    `stall` is called when the process does not keep up, `proceed` when it has caught up. What comes after the
    process has closed its end is dropped without a word: that is no error.
    """

    def __init__(self, fd: int, stall: Callable[[], None], proceed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._stall = stall
        self._proceed = proceed
        self._waiting: deque[memoryview] = deque()
        self._finishing = False
        self._closed = False
        os.set_blocking(fd, False)

    @property
    def stalled(self) -> bool:
        return bool(self._waiting)

    def write(self, data: bytes) -> None:
        if self._closed or self._finishing:
            return
        idle = not self._waiting
        self._waiting.append(memoryview(data))
        if idle:
            self._flush()
            if self._waiting:
                self._loop.add_writer(self._fd, self._flush_more)
                self._stall()

    def finish(self) -> None:
        """Ends the input once all of it is written."""
        self._finishing = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        stalled = self._loop.remove_writer(self._fd)
        self._waiting.clear()
        os.close(self._fd)
        if stalled:  # else the channel would hold what it has received, and never close
            self._proceed()

    def _flush(self) -> None:
        while self._waiting:
            data = self._waiting[0]
            try:
                written = os.write(self._fd, data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # EPIPE, EIO: the reader is gone
                self.close()
                return
            if written == len(data):
                self._waiting.popleft()
            else:
                self._waiting[0] = data[written:]

    def _flush_more(self) -> None:
        self._flush()
        if self._waiting or self._closed:
            return
        self._loop.remove_writer(self._fd)
        if self._finishing:
            self.close()
        self._proceed()  # may bring more data, and its end
