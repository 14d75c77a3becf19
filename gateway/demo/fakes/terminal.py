"""Runs `kubectl exec -it`: a terminal for the command inside, relayed to the terminal outside."""
# ruff: noqa: SIM105 - contextlib is slow to import

import fcntl
import os
import select
import signal
import termios

from .container import Container, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WAITING_BYTES = 64 * 1024  # each way, before the writer has to wait
_PIPE_BYTES = 4096  # a pipe that is ready takes so much without blocking
_LEFT_BYTES = 128 * 1024  # no more of a command's output can be in a terminal when it has ended
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class HangupError(Exception):
    """Raised when the terminal outside is gone, or a signal ends us."""


def run_in_terminal(container: Container, command: list[str]) -> int:
    """Runs the command in a terminal of its own and returns its exit code. Raises StartError for a command that
    cannot start, and HangupError where our own terminal hangs up; then the command's terminal hangs up too.
    """
    saved = termios.tcgetattr(0)
    master, slave = os.openpty()
    wakeups = _Wakeups()
    try:
        termios.tcsetattr(0, termios.TCSANOW, _raw(saved))
        with os.fdopen(master, "rb", buffering=0), wakeups:
            _copy_size(master)
            pid = container.start(command, (slave, slave, slave), terminal=True)
            os.close(slave)
            return _Relay(pid, master, wakeups.fd).run()
    finally:
        try:
            termios.tcsetattr(0, termios.TCSANOW, saved)
        except termios.error:
            pass


class _Wakeups:
    """Turns signals into bytes in a pipe, so that poll sees them."""

    def __init__(self) -> None:
        self.fd, self._writer = os.pipe()
        for fd in (self.fd, self._writer):
            os.set_blocking(fd, False)

    def __enter__(self) -> None:
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGWINCH, signal.SIGCHLD, *_ENDING):
            signal.signal(number, lambda _number, _frame: None)

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)


class _Relay:
    def __init__(self, pid: int, master: int, wakeups: int) -> None:
        self._pid = pid
        self._master = master
        self._wakeups = wakeups
        self._stdout, self._burst = _own_stdout()
        self._input = bytearray()
        self._output = bytearray()
        self._code: int | None = None
        self._left = _LEFT_BYTES
        self._open = True  # the command's side of the terminal
        os.set_blocking(master, False)

    def run(self) -> int:
        while True:
            ready = self._poll(0 if self._code is not None else None)
            if ready.get(self._wakeups):
                self._take_signals()
            if ready.get(0, 0):
                self._take_input()
            read = bool(ready.get(self._master, 0) & ~select.POLLOUT) and self._take_output()
            if self._input and self._open:
                self._input = self._input[_write(self._master, self._input, _WAITING_BYTES) :]
            if ready.get(self._stdout):
                del self._output[: _write(self._stdout, self._output, self._burst)]
            if self._code is not None and not read and not self._output:
                return self._code

    def _poll(self, timeout: int | None) -> dict[int, int]:
        """Returns the descriptors that are ready. After the command's end this waits only while its output
        waits.
        """
        poll = select.poll()
        poll.register(self._wakeups, select.POLLIN)
        if len(self._input) < _WAITING_BYTES:
            poll.register(0, select.POLLIN)
        if self._open:
            readable = select.POLLIN if len(self._output) < _WAITING_BYTES else 0
            poll.register(self._master, readable | (select.POLLOUT if self._input else 0))
        if self._output:
            poll.register(self._stdout, select.POLLOUT)
            timeout = None
        return dict(poll.poll(timeout))

    def _take_signals(self) -> None:
        for number in os.read(self._wakeups, 4096):
            if number in _ENDING:
                raise HangupError
            if number == signal.SIGWINCH:
                _copy_size(self._master)
            elif number == signal.SIGCHLD and self._code is None:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
                if pid:
                    self._code = exit_code(status)

    def _take_input(self) -> None:
        try:
            data = os.read(0, _WAITING_BYTES)
        except OSError:
            data = b""
        if not data:
            raise HangupError
        self._input += data

    def _take_output(self) -> bool:
        """Reads output. True if there was some and may be more; EIO says that nobody has the terminal open
        any more.
        """
        try:
            data = os.read(self._master, _WAITING_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = read_after_eio(self._master)
        if not data:
            self._open = False
            return False
        self._output += data
        if self._code is not None:
            self._left -= len(data)
        return self._left > 0


def read_after_eio(fd: int) -> bytes:
    """Reads what a terminal still has after EIO, as gateway.relay.process does; a stand-in imports nothing of
    ours.
    """
    try:
        return os.read(fd, _WAITING_BYTES)
    except OSError:
        return b""


def _write(fd: int, data: bytearray, limit: int) -> int:
    try:
        return os.write(fd, data[:limit])
    except BlockingIOError:
        return 0
    except OSError:
        raise HangupError from None


def _own_stdout() -> tuple[int, int]:
    """Returns where to write, and how much at once.

    A terminal is opened anew: others share the one we have, and must not find it non-blocking.
    """
    try:
        return os.open(os.ttyname(1), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK), _WAITING_BYTES
    except OSError:
        return 1, _PIPE_BYTES


def _copy_size(master: int) -> None:
    try:
        size = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)
    except OSError:
        pass


def _raw(attributes: "list[Any]") -> "list[Any]":
    """Returns the attributes as kubectl sets its terminal: nothing is echoed, changed or taken for a signal."""
    raw = list(attributes)
    raw[0] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    raw[1] &= ~termios.OPOST
    raw[2] = raw[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw[6] = list(raw[6])
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    return raw
