"""The one private directory of a gateway's relay: a socket for each version, and those of what the gateway runs there.

A lock on the directory itself makes start and end single. Whoever has the lock looks again whether the directory is
still the one of that name: the last daemon removes it, or the next start of any relay of this user.
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
_BACKLOG = 64


def candidates(env: Mapping[str, str]) -> list[str]:
    """Where it may be, best first."""
    found = [env.get("XDG_RUNTIME_DIR"), env.get("TMPDIR"), "/tmp", "/var/tmp", env.get("HOME")]  # noqa: S108
    return [path for path in found if path and os.path.isabs(path)]


def enter(key: str, env: Mapping[str, str]) -> tuple[str, int]:
    """(the directory, a descriptor that holds its lock). Raises OSError, which says of each place why it is none."""
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
            problems[base] = "the directory of that name belongs to somebody else"
            if os.path.lexists(path) and not _ours(os.lstat(path)):
                break
    said = "; ".join(f"{base}: {words}" for base, words in problems.items())
    raise OSError(f"there is no place for its private directory: {said}")


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


def versions(directory: str, version: str) -> list[str]:
    """Sockets of others that speak the same protocol: what stands before the dash (wire.PROTOCOL)."""
    protocol, dash, _ = version.partition("-")
    names = os.listdir(directory) if dash else []
    return [
        name
        for name in names
        if name.startswith(protocol + dash) and name != version and not name.endswith(SOCKET)
    ]


def listen(directory: str, version: str) -> socket.socket:
    """Under the lock, where nobody listens."""
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
    """The daemon's last act: no when a carrier is on its way."""
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
    """What a daemon that was killed has left. Its sockets do not close all at once."""
    for _ in range(5):
        if tidy(directory):
            return
        time.sleep(0.1)


def sweep_all(env: Mapping[str, str]) -> None:
    """What daemons of any gateway of this user have left, that were killed together with their carriers."""
    for base in set(candidates(env)):
        with suppress(OSError), os.scandir(base) as found:
            for name in [one.path for one in found if one.name.startswith(PREFIX)]:
                tidy(name)


def tidy(directory: str) -> bool:
    """Removes it unless a daemon listens there, or somebody has its lock. No: one listens."""
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
    """Under the lock. All in it is the daemons': sockets, and a file on its way to having no name."""
    names = os.listdir(directory)
    if any(_listens(directory, name) for name in names):
        return False
    for name in names:
        os.unlink(_name(directory, name))
    os.rmdir(directory)
    return True


def _listens(directory: str, name: str) -> bool:
    """Whether a daemon does."""
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
    """A socket's path has room for 107 bytes; a directory may be longer."""
    before = os.getcwd()
    os.chdir(directory)
    try:
        call(name)  # type: ignore[operator]
    finally:
        os.chdir(before)
