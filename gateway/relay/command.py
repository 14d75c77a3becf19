"""Runs one command on a terminal or three pipes: drains it at full speed into a journal, ends all of its session."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any

from . import end_steps, process, wire
from .descriptors import Descriptors
from .journal import Journal, JournalFull
from .kubectl_start import KubectlStart
from .loop import Loop, Timer, describe_defect
from .request import Request
from .running import Running
from .stdin import Stdin

_READ = 2 * wire.FULL  # bytes: whole frames, with none left over
BEHIND = 768 << 10  # bytes that the link has not taken yet, from where reading makes way for it; fits memory
MAKE_WAY = 0.005  # seconds; with a read each time that is at least 13 MB/s, which loses nothing (README.md)
LINGER = 0.05  # seconds of quiet after the end, where something else still holds the output open
_LINGERS = 40  # and how often that may be put off
STDERR_TAIL = 4000  # bytes of a terminal command's separate stderr that are kept


class Command(Running):
    """Runs one command here; see `Running`. Its `result` has code, signal, or error and errno."""

    def __init__(self, loop: Loop, journal: Journal) -> None:
        super().__init__(loop, journal)
        self.input: Stdin = Stdin(self._loop)
        self._terminal: int | None = None
        self._outs: dict[int, int] = {}  # descriptor -> stream
        self._report: int | None = None  # says why it could not be started
        self._why: dict[str, Any] | None = None  # a result that says more than the exit status will
        self._end: dict[str, Any] | None = None  # the result, while output may still come
        self._step = 0
        self._next: Timer | None = None  # until the next step
        self._zombie = False  # the process has ended and was not reaped
        self._fresh = False
        self._deserted = False  # nobody had the terminal's other side open when it was last read
        self._stderr_fd: int | None = None  # the pipe of a stderr that is separate from the terminal
        self._stderr_tail = b""
        self._kubectl: KubectlStart | None = None  # where the command is a kubectl that leads to a pod
        self._unsure = False  # of the terminal's size in the pod: see `resize`

    def run(self, request: Request, directory: str, env: dict[str, str]) -> None:
        """Starts the process. A start that fails sets `result` instead of raising."""
        opened = Descriptors(self._loop)
        self._outs, self._kubectl = opened.outs, request.kubectl
        try:
            fds = opened.open(request, self.input)
            self._terminal, self._stderr_fd = opened.terminal, opened.stderr
            self.pid, self._report = process.start(
                request.argv, {**env, **request.env}, directory, fds, controls=request.size is not None
            )
        except OSError as error:
            self._close()
            self._finish({"error": os.strerror(error.errno or 0), "errno": error.errno})
            return
        finally:
            for fd in opened.theirs:
                os.close(fd)
        self._loop.readable(self._report, self._reported)
        self._loop.on_exit(self.pid, self._exited)
        for fd in self._outs:
            os.set_blocking(fd, False)
            self._loop.readable(fd, lambda fd=fd: self._read(fd))  # type: ignore[misc]
        request.follow(self._loop, self.pid, self._refuse)

    def resize(self, size: tuple[int, int]) -> None:
        """See `Running.resize`. A size that kubectl sees while it connects is dropped there (kubectl's
        pkg/util/term/resizeevents.go), so kubectl is made to look again once the pod has said something.
        """
        if self._terminal is not None and all(size):
            process.resize(self._terminal, size)
            self._unsure = self._kubectl is not None and not self.journal.end

    def signal(self, number: int) -> None:
        """See `Running.signal`."""
        if self.pid and self._end is None:
            process.kill_group(self.pid, number)

    def write(self, data: bytes) -> None:
        """Writes input; an interrupt at a terminal ends a kubectl that waits for its credential plugin."""
        if self._kubectl and self._terminal is not None and self._kubectl.interrupts(self.pid, data):
            self._refuse({"error": "interrupted", "credentials": True})
        self.input.write(data)

    @property
    def cut(self) -> bool:
        """See `Running.cut`."""
        return self.ending or "signal" in (self.result or {})

    @property
    def pids(self) -> list[int]:
        """See `Running.pids`."""
        return self._kubectl.pids if self._kubectl and self._stderr_fd is None else []

    def _refuse(self, why: dict[str, Any]) -> None:
        """Ends a command that runs, whose result is then `why`."""
        if self._end is None and not self._step:
            self._why = why
            self.end()

    @property
    def ending(self) -> bool:
        """True once `end` or a defect has begun to end the command."""
        return self._step > 0

    def end(self) -> None:
        """Ends the command with all of its session: HUP, TERM, KILL. Drops all output, also what it still writes."""
        self.journal.discard()
        if not self._step and self.result is None:
            self._next_step()

    def defect(self, error: Exception) -> None:
        """See `Running.defect`."""
        self._why = self._end = {"error": describe_defect(error)}
        self._step = self._step or len(end_steps.STEPS)
        if self.pid and self.result is None:
            process.kill_group(self.pid, signal.SIGKILL)
            with suppress(OSError):
                process.kill(process.members(self.pid), signal.SIGKILL)
        self._finish(self._why)

    def _next_step(self) -> None:
        wait = end_steps.send(self.pid, self._step)
        self._step, self._next = self._step + 1, None
        if wait:
            self._next = self._loop.later(wait, self._next_step)
        self._let_go()

    def _reported(self) -> None:
        if self._report is None:
            return
        errno = os.read(self._report, 16)
        self._loop.close(self._report)
        self._report = None
        if errno:
            self._why = {"error": os.strerror(int(errno)), "errno": int(errno)}
        else:
            self.started = True
            self.changed()

    def _read(self, fd: int) -> None:
        if self.journal.behind:  # a slow disk delays this command alone
            self._fresh = True
            self._loop.pause(fd, MAKE_WAY)
            return
        try:
            data = process.read(fd, _READ)
        except BlockingIOError:
            return
        if not data:
            self._read_all(fd)
            return
        self._fresh, self._deserted = True, False
        if fd == self._stderr_fd:
            self._stderr_tail = (self._stderr_tail + data)[-STDERR_TAIL:]
            return
        if self._kubectl:
            data = self._kubectl.output(self.pid, data, stderr=self._outs[fd] == wire.STDERR)
        if self.journal.closed or not data:
            return
        if self._unsure:
            self._unsure = False
            process.kill_group(self.pid, signal.SIGWINCH)
        try:
            self.journal.append(self._outs[fd], data)
        except JournalFull:
            self._why = self.journal.overrun()
            self.end()
        if fd in self._outs and self.journal.end - self.sent > BEHIND:
            self._loop.pause(fd, MAKE_WAY)  # what waits here costs memory and then disk
        self.changed()

    def _read_all(self, fd: int) -> None:
        """Closes a descriptor that is at its end; only pauses a live command's terminal: a close would hang it up."""
        if fd == self._terminal and self._end is None:
            self._deserted = True
            self._loop.pause(fd, LINGER)
            self._loop.writable(fd, None)  # it would be said to be all the time, whatever it takes
            self._loop.later(LINGER, self.input.feed)
            return
        self._drop(fd)
        if self._end is not None and not self._outs:
            self._finish(self._end)

    def _exited(self, code: int) -> None:
        """Records the exit code, or the negative signal; drops the input, and waits for output that is still to come."""
        self._zombie = True
        self._reported()
        self._end = {"signal": -code} if code < 0 else {"code": code}
        self.input.close()
        self.input.feed()
        process.kill_group(self.pid, signal.SIGHUP)
        if self._deserted and self._terminal is not None:
            self._read(self._terminal)
        if self._outs:
            self._loop.later(LINGER, lambda: self._linger(_LINGERS))
        else:
            self._finish(self._end)

    def _linger(self, left: int) -> None:
        if self.result is not None:
            return
        if self._fresh and left:
            self._fresh = False
            more = left - (not self.journal.behind)
            self._loop.later(LINGER, lambda: self._linger(more))
            return
        self._close()
        self._finish(self._end or {})

    def _finish(self, result: dict[str, Any]) -> None:
        if self.result is None:
            words = self._stderr_tail or (self._kubectl.said if self._kubectl else b"")
            tail = {"words": words.decode("utf-8", "replace")} if words else {}
            self.result = {**(self._why or result), **tail}  # it may have become full after its end
            self._close()
            self.journal.close()
            self.over()
            self.changed()
        self._let_go()

    def _let_go(self) -> None:
        """Reaps the process once nothing signals it any more: its pid may be somebody else's from then on."""
        if self._zombie and self.result is not None and not self._next:
            self._zombie = False
            self._loop.reap(self.pid)

    def _drop(self, fd: int) -> None:
        del self._outs[fd]
        if fd == self._terminal:
            self.input.close()
            self._terminal = None
        self._loop.close(fd)

    def _close(self) -> None:
        self.input.close()
        for fd in list(self._outs):
            with suppress(OSError):
                self._drop(fd)
