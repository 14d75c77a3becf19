"""Connects a channel and a command: three pipes, or one terminal."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.demo.pty_modes import apply_modes, set_size
from gateway.demo.pumps import Inflow, Outflow

_PIPE_BYTES = 256 * 1024
# What a process has written to its terminal is there when it is gone, and is less than this: the rest is some
# background job's. Through a pipe a child may still be talking, as with sshd, but not for ever.
_TERMINAL_QUIET, _TERMINAL_LIMIT = 0.05, 256 * 1024
_PIPE_QUIET = 2.0


@dataclass(frozen=True)
class Terminal:
    """Describes the terminal that the client asked for; size is columns, rows, and width and height in
    pixels.
    """

    name: str
    size: tuple[int, int, int, int]
    modes: Mapping[int, int]


class Far(Protocol):
    """Receives the command's output, and the calls that pause and resume the client."""

    def stdout(self, data: bytes) -> None: ...
    def stderr(self, data: bytes) -> None: ...
    def stall(self) -> None: ...
    def proceed(self) -> None: ...


class Plumbing:
    """Owns all descriptors. `child` are the command's stdin, stdout and stderr until `started`."""

    def __init__(
        self, child: tuple[int, int, int], inflow: Inflow, outflows: tuple[Outflow, ...], *, tty: bool
    ) -> None:
        self.child = child
        self._inflow = inflow
        self._outflows = outflows
        self._tty = tty

    def started(self) -> None:
        """Closes the command's ends here: the command has them, or will never have them."""
        for fd in set(self.child):
            os.close(fd)

    @property
    def stalled(self) -> bool:
        return self._inflow.stalled

    def write(self, data: bytes) -> None:
        self._inflow.write(data)

    def write_eof(self) -> None:
        if not self._tty:  # a terminal has no end of input; sshd does nothing there too
            self._inflow.finish()

    def resize(self, size: tuple[int, int, int, int]) -> None:
        fd = self._outflows[0].fd
        if self._tty and fd is not None:
            set_size(fd, *size)

    def pause(self) -> None:
        for flow in self._outflows:
            flow.pause()

    def resume(self) -> None:
        for flow in self._outflows:
            flow.resume()

    async def drain(self) -> None:
        """Waits, after the command's end, until its output is read, not for what may never come.

        Cancelling is safe: `close` is still due.
        """
        self._inflow.close()
        for flow in self._outflows:
            if self._tty:
                flow.end_soon(_TERMINAL_QUIET, _TERMINAL_LIMIT)
            else:
                flow.end_soon(_PIPE_QUIET, None)
        for flow in self._outflows:
            await flow.wait_ended()

    def close(self) -> None:
        """Closes all descriptors here. Closing a terminal hangs up: the kernel sends SIGHUP to its session."""
        self._inflow.close()
        for flow in self._outflows:
            flow.close()


def open_terminal(far: Far, terminal: Terminal) -> Plumbing:
    """Returns the plumbing of a new terminal. Raises OSError when no terminal, or no descriptor, is to be
    had.
    """
    master, slave = os.openpty()
    apply_modes(slave, terminal.modes)
    set_size(slave, *terminal.size)
    inflow = Inflow(os.dup(master), far.stall, far.proceed)
    return Plumbing((slave, slave, slave), inflow, (Outflow(master, far.stdout),), tty=True)


def open_pipes(far: Far) -> Plumbing:
    """Returns the plumbing of three new pipes. Raises OSError when no descriptor is to be had."""
    with contextlib.ExitStack() as undo:
        stdin, writer = _pipe(undo)
        reader, stdout = _pipe(undo)
        error_reader, stderr = _pipe(undo)
        undo.pop_all()
    inflow = Inflow(writer, far.stall, far.proceed)
    outflows = (Outflow(reader, far.stdout), Outflow(error_reader, far.stderr))
    return Plumbing((stdin, stdout, stderr), inflow, outflows, tty=False)


def _pipe(undo: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for fd in ends:
        undo.callback(os.close, fd)
    grow: Callable[[int, int, int], int] = fcntl.fcntl
    if command := getattr(fcntl, "F_SETPIPE_SZ", None):
        with contextlib.suppress(OSError):  # the user's share of pipe memory may be used up
            grow(ends[1], command, _PIPE_BYTES)
    return ends
