"""Reads and writes our own stdin, stdout and stderr, without ever blocking the event loop.

O_NONBLOCK is never set: it belongs to the open file description, which the shell and others share.
"""

import asyncio
import contextlib
import errno
import os
import queue
import select
import selectors
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gateway.client.screen_state import ScreenState
from gateway.protocol.codec import CHUNK
from gateway.protocol.messages import Stream

WAITING_LIMIT = 1 << 20  # bytes of output that may wait for the terminal or pipe
_BATCH = 64 * 1024  # bytes; small outputs that wait together are written together
_PIECE = 8 * 1024  # bytes that a terminal is given at once: Ctrl-S stops between two


class OutputClosed(Exception):  # noqa: N818
    """Raised when whoever read our output is gone (EPIPE), as after `| head`."""


class Source:
    """Reads a file descriptor. Only reads when asked, so that a slow receiver slows the sender down."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pollable = _pollable(fd)
        self._ends = (errno.EBADF, errno.EIO) if os.isatty(fd) else (errno.EBADF,)

    async def read(self) -> bytes:
        """Returns up to 32 KiB; empty at the end. Raises OSError for what cannot be read: to call that an end
        would cut it off unsaid. Cancelling loses nothing of a terminal, pipe or socket.
        """
        while True:
            try:
                if not self._pollable:
                    return await asyncio.to_thread(os.read, self._fd, CHUNK)
                await readable(self._fd)
                return os.read(self._fd, CHUNK)
            except BlockingIOError:
                continue  # somebody else made it non-blocking and took what was there
            except OSError as error:
                if error.errno not in self._ends:
                    raise
                return b""  # a terminal that hung up, a stdin that was closed: no more will come


def gives_nothing(fd: int) -> bool:
    """Whether a file descriptor is the null device, or closed."""
    try:
        found, null = os.fstat(fd), Path(os.devnull).stat()
    except OSError:
        return True
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == null.st_rdev


async def readable(fd: int) -> None:
    """Waits until a read would not block. Safe to cancel."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(fd)


class _Chunk(NamedTuple):
    fd: int
    data: bytes


_END = _Chunk(-1, b"")


class Sink:
    """Writes output in the order in which it came, from one thread: a terminal that is stopped with ^S, or a
    pipe that nobody reads, must not stop pings, signals and resizes. `screen` follows what stdout has taken, if
    stdout is a terminal.
    """

    def __init__(self, screen: ScreenState | None = None) -> None:
        self.screen = screen or ScreenState()
        self._followed = os.isatty(Stream.STDOUT)
        self._loop = asyncio.get_running_loop()
        self._chunks: queue.SimpleQueue[_Chunk] = queue.SimpleQueue()
        self._next: _Chunk | None = None
        self._changed = asyncio.Event()
        self._failure: OSError | None = None
        self._go = threading.Event()
        self._go.set()
        self.waiting = 0  # bytes accepted and not yet written
        self._written: dict[int, int] = {}
        threading.Thread(target=self._write_all, name="dap-output", daemon=True).start()

    async def write(self, fd: int, data: bytes) -> None:
        """Accepts the data, then waits while more than WAITING_LIMIT bytes wait. Raises as `drain`."""
        self.put(fd, data)
        await self._until(lambda: self.waiting <= WAITING_LIMIT)

    def put(self, fd: int, data: bytes) -> None:
        """Accepts the data without waiting: for the few messages that are ours."""
        self.waiting += len(data)
        self._chunks.put(_Chunk(fd, data))

    def written(self, fd: int) -> int:
        """Returns how many bytes the descriptor has taken so far."""
        return self._written.get(fd, 0)

    async def advance(self, fd: int, count: int) -> None:
        """Waits until the descriptor has taken `count` bytes. Raises as `drain`."""
        await self._until(lambda: self.written(fd) >= count)

    async def drain(self) -> None:
        """Waits until all is written. Raises OutputClosed, or the OSError of a write."""
        await self._until(lambda: not self.waiting)

    async def watch(self) -> None:
        """Raises as `drain`, also when nobody writes; never returns."""
        await self._until(lambda: False)

    def hold(self) -> None:
        """Writes nothing until `go_on`."""
        self._go.clear()

    def go_on(self) -> None:
        """Ends `hold`."""
        self._go.set()

    def take_back(self, fd: int) -> bytes:
        """Removes and returns what waits for the descriptor, but for what it is just being given."""
        chunks: list[_Chunk] = []
        with contextlib.suppress(queue.Empty):
            while True:
                chunks.append(self._chunks.get_nowait())
        for chunk in chunks:
            if chunk.fd != fd:
                self._chunks.put(chunk)
        data = b"".join(chunk.data for chunk in chunks if chunk.fd == fd)
        self.waiting -= len(data)
        return data

    def count(self, fd: int, size: int) -> None:
        """Counts `size` bytes as written that were taken back for good."""
        self._written[fd] = self.written(fd) + size
        self._changed.set()
        self._changed.clear()

    def close(self) -> None:
        """Ends the writing thread behind what is queued, without waiting for it, since it may be stuck in a write."""
        self._chunks.put(_END)

    async def _until(self, enough: Callable[[], bool]) -> None:
        while True:
            if isinstance(self._failure, BrokenPipeError):
                raise OutputClosed
            if self._failure:
                raise self._failure
            if enough():
                return
            await self._changed.wait()

    def _done(self, fd: int, data: bytes, failure: OSError | None) -> None:
        self.waiting -= len(data)
        if failure is None:
            self._written[fd] = self.written(fd) + len(data)
        if self._followed and fd == Stream.STDOUT:
            self.screen.take(data)
        self._failure = failure
        self._changed.set()
        self._changed.clear()  # wakes all who wait now; each looks for itself

    def _write_all(self) -> None:
        failure = None
        while failure is None and (chunk := self._next or self._chunks.get()) is not _END:
            data = self._batch(chunk)
            try:
                self._write(chunk.fd, data)
            except OSError as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._done, chunk.fd, data, failure)

    def _write(self, fd: int, data: bytes) -> None:
        step = _PIECE if os.isatty(fd) else max(len(data), 1)
        for start in range(0, len(data), step):
            self._go.wait()
            _write(fd, data[start : start + step])

    def _batch(self, first: _Chunk) -> bytes:
        parts, size, self._next = [first.data], len(first.data), None
        while size < _BATCH and self._next is None:
            try:
                chunk = self._chunks.get_nowait()
            except queue.Empty:
                break
            if chunk.fd == first.fd:
                parts.append(chunk.data)
                size += len(chunk.data)
            else:
                self._next = chunk
        return b"".join(parts) if len(parts) > 1 else first.data


def write_at_once(fd: int, data: bytes) -> None:
    """Writes a little, if the descriptor takes it now: for the last words of a process that waits for nothing."""
    with contextlib.suppress(OSError):
        if data and select.select([], [fd], [], 0)[1]:
            os.write(fd, data)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # somebody else made it non-blocking
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()


def _pollable(fd: int) -> bool:
    """Returns True if the descriptor has to be waited for. Files never block for long: epoll refuses them, while
    kqueue waits at their end for more. Either refuses a device such as /dev/null.
    """
    with selectors.DefaultSelector() as probe:
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return False
            probe.register(fd, selectors.EVENT_READ)
        except OSError:
            return False
    return True
