"""Starts, ends and names processes. Linux; `ctypes` for prctl, which Python does not have."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
import struct
import termios
import tty
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

NAME = b"dap-relay"
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_F_SETPIPE_SZ = 1031  # fcntl has the name from Python 3.10 on
_PIPE = 256 * 1024
_HANDLED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGCHLD,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)  # by Python or by us
_MANY = 1 << 20  # descriptors
_files: list[tuple[int, int]] = []
_libc = ctypes.CDLL(None)


def set_process_name(name: bytes = NAME) -> None:
    """Sets what `ps` shows of this process: the kernel's name of it, and its arguments in its own memory."""
    _libc.prctl(_PR_SET_NAME, name, 0, 0, 0)
    with suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        begin, end = int(fields[45]), int(fields[46])  # arg_start, arg_end (proc(5))
        if 0 < begin < end:
            ctypes.memmove(begin, (name + bytes(end - begin))[: end - begin], end - begin)


def raise_fd_limit() -> None:
    """Raises the limit of descriptors as far as this user may: a session takes up to five. Processes that
    `start` makes get the limit from before.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _files[:] = [(soft, hard)]
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else _MANY, hard))


def die_with_parent() -> None:
    """Makes the kernel kill this process when the process that forked it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def pipe() -> tuple[int, int]:
    """Returns (read, write) of a pipe, larger than usual where the user may have that."""
    ends = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(ends[1], _F_SETPIPE_SZ, _PIPE)
    return ends


def terminal(size: tuple[int, int], *, raw: bool) -> tuple[int, int]:
    """Returns (our side, the command's side) of a new terminal. Raw: the terminal echoes nothing and no byte
    has a meaning, before the command asks for it.
    """
    ours, theirs = os.openpty()
    resize(ours, size)
    if raw:
        tty.setraw(theirs, termios.TCSANOW)
    return ours, theirs


def read(fd: int, count: int) -> bytes:
    """Reads what a command wrote; returns nothing at the end. Raises BlockingIOError."""
    try:
        return os.read(fd, count)
    except BlockingIOError:
        raise
    except OSError:  # a terminal whose other side has gone says EIO
        return read_after_eio(fd, count)


def read_after_eio(fd: int, count: int) -> bytes:
    """Reads what a terminal still has after EIO, or nothing: Linux may report EIO just before it hands over
    the last bytes.
    """
    with suppress(OSError):
        return os.read(fd, count)
    return b""


def resize(fd: int, size: tuple[int, int]) -> None:
    """Sets a terminal's size, (columns, rows); the command gets SIGWINCH. Does nothing to a terminal that has
    gone.
    """
    with suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))


def start(
    argv: Sequence[str], env: Mapping[str, str], directory: str, fds: tuple[int, int, int], *, controls: bool
) -> tuple[int, int]:
    """Starts a process in a session of its own that dies with us. Returns (pid, a descriptor that reads the
    errno of a start that failed, as text, or nothing). `controls`: descriptor 0 is the terminal that controls
    the session. Raises OSError when no process can be started.
    """
    parent = os.getpid()
    reader, writer = os.pipe()
    # A signal that came to the child before it is itself would be written into the wakeup pipe that is still ours.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            for one in _HANDLED:
                signal.signal(one, signal.SIG_DFL)
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if pid:
        os.close(writer)
        return pid, reader
    try:
        _become(argv, env, directory, fds, parent, controls=controls)
    except Exception as error:  # noqa: BLE001  # whatever it is, it did not start
        os.write(writer, b"%d" % (getattr(error, "errno", None) or errno.EIO))
    finally:
        os._exit(127)


def _become(
    argv: Sequence[str],
    env: Mapping[str, str],
    directory: str,
    fds: tuple[int, int, int],
    parent: int,
    *,
    controls: bool,
) -> None:
    os.setsid()
    for limits in _files:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    die_with_parent()
    if os.getppid() != parent:
        return
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    if controls:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        os.chdir(directory)
    except OSError:
        os.chdir("/")
    os.execvpe(argv[0], list(argv), dict(env))


def members(session: int) -> list[int]:
    """Returns the pids of everything that lives in the session whose leader had this pid; zombies do not
    count.
    """
    found: list[int] = []
    if session <= 1:  # 0 is everybody whose session is another PID namespace's: all that incus started
        return found
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                if int(fields[3]) == session and fields[0] != b"Z":
                    found.append(int(name))
    return found


def kill(pids: Iterable[int], number: int) -> None:
    """Sends the signal to each process; skips those that have gone, and pids up to 1. Never our own group,
    nor everybody: what 0 and -1 mean to the kernel.
    """
    for pid in pids:
        if pid > 1:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def kill_group(leader: int, number: int) -> None:
    """Sends the signal to the leader's process group; does nothing where the leader's pid is 0 or 1, or the
    group is gone.
    """
    if leader > 1:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)
