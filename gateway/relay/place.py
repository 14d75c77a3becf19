"""The one private directory of a gateway's relay: a socket for each version, and those of what the gateway runs there.

A lock on the directory itself makes start and end single. Whoever has the lock looks again whether the directory is
still the one of that name: the last daemon removes it.
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
SOCKET = ".sock"  # ends the name of what a command of the gateway's listens on
_BACKLOG = 64


def candidates(env: Mapping[str, str]) -> list[str]:
    """Where it may be, best first."""
    found = [env.get("XDG_RUNTIME_DIR"), env.get("TMPDIR"), "/tmp", "/var/tmp", env.get("HOME")]  # noqa: S108
    return [path for path in found if path and os.path.isabs(path)]


def enter(key: str, env: Mapping[str, str]) -> tuple[str, int]:
    """(the directory, a descriptor that holds its lock). Raises OSError: the last place's, when none can be used."""
    names = [os.path.join(base, PREFIX + key) for base in candidates(env)]
    problem = OSError("no place for a private directory")
    for path in [name for name in names if os.path.lexists(name)] + names:
        for _ in range(100):
            try:
                with suppress(FileExistsError):
                    os.mkdir(path, 0o700)
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except FileNotFoundError as error:  # removed between the two, or no such base
                problem = error
                continue
            except OSError as error:
                problem = error
                break
            if _locked(path, lock):
                return path, lock
            os.close(lock)
            problem = PermissionError(f"{path} belongs to somebody else")
            if os.path.lexists(path) and not _ours(os.lstat(path)):
                break
    raise problem


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
    """To the daemon of this version, when one listens."""
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
        raise PermissionError(f"somebody else listens in {directory}")
    return one


def listen(directory: str, version: str) -> socket.socket:
    """Under the lock, where nobody listens."""
    with suppress(FileNotFoundError):
        os.unlink(_name(directory, version))
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _in(directory, one.bind, version)
    one.listen(_BACKLOG)
    return one


def leave(directory: str, listener: socket.socket) -> bool:
    """The daemon's last act: no when a carrier is on its way."""
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if select.select([listener], [], [], 0)[0]:
            return False
        _remove(directory, str(listener.getsockname()))
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def sweep(directory: str, version: str) -> None:
    """What a daemon that was killed has left. Its sockets do not close all at once."""
    for _ in range(5):
        with suppress(OSError):
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                one = connect(directory, version)
                if one is None:
                    _remove(directory, version)
                    return
                one.close()
            finally:
                os.close(lock)
        time.sleep(0.1)


def _remove(directory: str, version: str) -> None:
    with suppress(OSError):
        os.unlink(_name(directory, version))
    with suppress(OSError):
        left = os.listdir(directory)
        if all(name.endswith(SOCKET) for name in left):  # else another version's daemon is still there
            for name in left:
                os.unlink(_name(directory, name))
            os.rmdir(directory)


def _name(directory: str, version: str) -> str:
    return os.path.join(directory, version)


def _in(directory: str, call: object, name: str) -> None:
    """A socket's path has room for 107 bytes; a directory may be longer."""
    before = os.getcwd()
    os.chdir(directory)
    try:
        call(name)  # type: ignore[operator]
    finally:
        os.chdir(before)
