"""Where the gateway listens: loopback, TLS, and a Unix socket, and nothing that anybody else could own."""

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from gateway.errors import ConfigError
from gateway.peer_credentials import peer_pid
from gateway.server.listen_names import addresses_of, names, secure_names
from gateway.unix_peer import check_path

_BACKLOG = 128
_LOOKS = 5  # attempts at the lock: a client that looks who has it holds it for a moment
_LOOK = 0.02  # seconds between them


class Unusable(ConfigError):  # noqa: N818  # said of a socket, as HopFailed is of a hop
    """Raised for a Unix socket that cannot be made in its directory; another directory may do."""


@contextmanager
def loopback(listen: str) -> Iterator[list[socket.socket]]:
    """Yields listening sockets, and closes them afterwards: for `localhost` one of each loopback family that exists, all on one port. Raises
    ConfigError.
    """
    host, port = names(listen)
    with _bound(addresses_of(host), port, "--listen") as sockets:
        yield sockets


@contextmanager
def secure(listen: str) -> Iterator[list[socket.socket]]:
    """Yields listening sockets for TLS, as `loopback` does, but on any address, or on every one of a name. Raises
    ConfigError.
    """
    host, port = secure_names(listen)
    with _bound(addresses_of(host), port, "DAP_GATEWAY_TLS_LISTEN") as sockets:
        yield sockets


@contextmanager
def _bound(addresses: list[str], port: int, setting: str) -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            if bound := _bind(address, port, setting, optional=bool(sockets)):
                sockets.append(bound)
                port = bound.getsockname()[1]
        yield sockets
    finally:
        for one in sockets:
            one.close()


@contextmanager
def unix(path: Path) -> Iterator[socket.socket]:
    """Yields a Unix socket, 0600 in a 0700 directory, and removes the socket afterwards. Raises ConfigError when a
    gateway is there. A lock beside the socket is held as long: it shows that the gateway lives also while the gateway
    is stopped or busy.
    """
    with ExitStack() as stack:
        try:
            check_path(path)
            _private(path.parent)
            stack.callback(os.close, _lock(path))
            _remove_stale(path)
            bound = stack.enter_context(_bind_unix(path))
            ours = inode(path)
        except OSError as error:
            raise Unusable(f"cannot listen on {path}: {error.strerror or error}") from None
        try:
            yield bound
        finally:
            # while it is open no other file can have its inode
            if inode(path) == ours:
                path.unlink(missing_ok=True)


def _private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid != os.getuid() or directory.stat().st_mode & 0o022:
        raise ConfigError(f"{directory} must belong to you and be writable by nobody else")


def _lock(path: Path) -> int:
    """Returns a descriptor that holds the lock of the socket at `path`; closing the descriptor gives the lock up. The
    file stays, with the number of the process that has or had the lock: removing it would let two processes lock two
    files of one name.
    """
    file = path.with_name(f"{path.name}.lock")
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _take(lock)
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
    except BlockingIOError:
        process = os.read(lock, 20).decode("ascii", "replace").strip()
        os.close(lock)
        raise _taken(path, process) from None
    except OSError:
        os.close(lock)
        raise
    return lock


def _take(lock: int) -> None:
    """Raises BlockingIOError where another process has the lock."""
    for _ in range(_LOOKS):
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_LOOK)
    raise BlockingIOError


def _taken(path: Path, process: str) -> ConfigError:
    whose = f", process {process}," if process.isdecimal() else ""
    return ConfigError(f"a gateway{whose} already listens on {path}; stop it first")


def inode(path: Path) -> tuple[int, int] | None:
    """Returns what tells the file at `path` from every other one; None where there is no file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _bind_unix(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound


def bind(address: str, port: int) -> socket.socket | None:
    """Returns a socket that listens on the address alone, and on `port`, 0 for a free one; None where this machine has not
    the address's family. Raises OSError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        bound = socket.socket(family)
    except OSError:
        return None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
        bound.listen(_BACKLOG)  # now: with SO_REUSEADDR two may bind, and only one may listen
    except OSError:
        bound.close()
        raise
    return bound


def _bind(address: str, port: int, setting: str, *, optional: bool) -> socket.socket | None:
    try:
        return bind(address, port)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL and (optional or address == "::1"):
            return None  # this machine has no such loopback
        said = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise ConfigError(
            f"cannot listen on {address} port {port}: {said}; choose another with {setting}"
        ) from None


def _remove_stale(path: Path) -> None:
    """Removes the socket of a gateway that was killed. A gateway of before there was a lock is asked for its answer."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"{path} is no socket: move it away")
    except FileNotFoundError:
        return
    process = ""
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
            process = str(peer_pid(probe))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:  # it listens, and so many are waiting that no more may
            pass
    raise _taken(path, process)
