"""Manages the one private directory of a gateway's relay: a socket for each version, and those of what the
gateway runs there.

A lock on the directory itself makes start and end single. Whoever has the lock looks again whether the
directory is still the one of that name: the last daemon removes it, or the next start of any relay of this
user.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import stat
import struct
import time
from collections.abc import Mapping
from contextlib import suppress

PREFIX = "dap-relay-"
BYE = b"bye"  # to a carrier whose link is over
BEGUN, OVER = b"+", b"-"  # the same for a session: the pid of its leader follows
SOCKET = ".sock"  # ends the name of what a command of the gateway's listens on
MAX_PATH = 103  # bytes of a socket's path (gateway/unix_peer.py)
_LONGEST = 50  # bytes behind a parent: /dap-relay-, the key's 24, and /kubectl-N.sock
_BACKLOG = 64


def candidates(env: Mapping[str, str]) -> list[str]:
    """Returns the parent directories to try, best first. Those come last in which the path of a command's socket would
    be too long: the relay reaches a socket of its own by a shorter way, kubectl proxy has none.
    """
    found = [env.get("XDG_RUNTIME_DIR"), env.get("TMPDIR"), "/tmp", "/var/tmp", env.get("HOME")]  # noqa: S108
    usable = [path for path in found if path and os.path.isabs(path)]
    return sorted(usable, key=lambda path: len(os.fsencode(path)) + _LONGEST > MAX_PATH)


def enter(key: str, env: Mapping[str, str]) -> tuple[str, int]:
    """Returns (the directory, a descriptor that holds its lock); creates the directory where it is missing,
    and waits for the lock. Raises OSError, which gives the reason for each parent.
    """
    bases = candidates(env)
    problems: dict[str, str] = {}
    for base in [one for one in bases if os.path.lexists(os.path.join(one, PREFIX + key))] + bases:
        path = os.path.join(base, PREFIX + key)
        for _ in range(100):
            try:
                with suppress(FileExistsError):
                    os.mkdir(path, 0o700)
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except FileNotFoundError as error:  # removed between the two, or no such base
                problems[base] = error.strerror or str(error)
                continue
            except OSError as error:
                problems[base] = error.strerror or str(error)
                break
            if _locked(path, lock):
                return path, lock
            os.close(lock)
            problems[base] = "the directory of that name is another user's, or open to others"
            if os.path.lexists(path) and not _ours(os.lstat(path)):
                break
    reasons = "; ".join(f"{base}: {reason}" for base, reason in problems.items())
    raise OSError(f"no private directory can be made; make one of these usable: {reasons}")


def _locked(path: str, lock: int) -> bool:
    if not _ours(os.fstat(lock)):
        return False
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        now, held = os.lstat(path), os.fstat(lock)
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino)


def _ours(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def connect(directory: str, version: str) -> socket.socket | None:
    """Returns a connection to the daemon of this version, None when none listens. Raises PermissionError when
    the listener is another user's.
    """
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        _in(directory, one.connect, version)
    except (ConnectionRefusedError, FileNotFoundError):
        one.close()
        return None
    except OSError:
        one.close()
        raise
    uid = struct.unpack("iII", one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    if uid != os.getuid():
        one.close()
        raise PermissionError(f"another user listens in {directory}: remove that directory")
    return one


def versions(directory: str, version: str) -> list[str]:
    """Returns the socket names of other versions that speak the same protocol: what stands before the dash
    (wire.PROTOCOL).
    """
    protocol, dash, _ = version.partition("-")
    names = os.listdir(directory) if dash else []
    return [
        name
        for name in names
        if name.startswith(protocol + dash) and name != version and not name.endswith(SOCKET)
    ]


def listen(directory: str, version: str) -> socket.socket:
    """Returns a socket that listens for carriers. Needs the lock, and that no daemon listens: a stale socket
    is removed. Raises OSError.
    """
    with suppress(FileNotFoundError):
        os.unlink(_name(directory, version))
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        _in(directory, one.bind, version)
    except OSError as error:
        one.close()
        raise OSError(error.errno, error.strerror, directory) from None
    one.listen(_BACKLOG)
    return one


def leave(directory: str, listener: socket.socket) -> bool:
    """Removes the daemon's socket, and the directory unless another daemon listens in it. False when a
    carrier is connecting or another process has the lock: the daemon stays.
    """
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if select.select([listener], [], [], 0)[0]:
            return False
        with suppress(OSError):
            os.unlink(_name(directory, str(listener.getsockname())))
            _clear(directory)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def sweep(directory: str) -> None:
    """Removes what a killed daemon has left. Tries five times in half a second, since the daemon's sockets do
    not close all at once.
    """
    for _ in range(5):
        if tidy(directory):
            return
        time.sleep(0.1)


def sweep_all(env: Mapping[str, str]) -> None:
    """Removes what daemons of any gateway of this user have left, that were killed together with their
    carriers.
    """
    for base in set(candidates(env)):
        with suppress(OSError), os.scandir(base) as found:
            for name in [one.path for one in found if one.name.startswith(PREFIX)]:
                tidy(name)


def tidy(directory: str) -> bool:
    """Removes the directory unless a daemon listens in it, or another process has its lock. False only if a
    daemon listens.
    """
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        if _ours(os.fstat(lock)):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _clear(directory)
    except OSError:
        pass
    finally:
        os.close(lock)
    return True


def _clear(directory: str) -> bool:
    """Removes the directory and all in it, which is the daemons': sockets, and a file on its way to having no
    name. False if a daemon listens. Needs the lock.
    """
    names = os.listdir(directory)
    if any(_listens(directory, name) for name in names):
        return False
    for name in names:
        os.unlink(_name(directory, name))
    os.rmdir(directory)
    return True


def _listens(directory: str, name: str) -> bool:
    """True if a daemon listens on the socket of this name."""
    if name.endswith(SOCKET) or not stat.S_ISSOCK(os.lstat(_name(directory, name)).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
        one.setblocking(False)
        try:
            _in(directory, one.connect, name)
        except BlockingIOError:  # its backlog is full
            return True
        except OSError:
            return False
    return True


def _name(directory: str, version: str) -> str:
    return os.path.join(directory, version)


def _in(directory: str, call: object, name: str) -> None:
    """Calls `call` with a name relative to `directory`: a socket's path has few bytes (MAX_PATH), and a
    directory's may be longer.
    """
    before = os.getcwd()
    os.chdir(directory)
    try:
        call(name)  # type: ignore[operator]
    finally:
        os.chdir(before)
