"""Where the gateway listens: loopback and a Unix socket, and nothing that anybody else could own."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.errors import ConfigError

_BACKLOG = 128


def names(listen: str) -> tuple[str, int]:
    """host:port. Raises ConfigError for what is not loopback: plain http would carry tokens over the network."""
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"cannot listen on {listen!r}: use HOST:PORT, as in localhost:8080")
    if host != "localhost" and not _loopback(host):
        raise ConfigError(
            f"will not listen on {listen!r}: plain http beyond loopback would carry tokens over the network. "
            "Listen on localhost and put a proxy with TLS in front (DAP_GATEWAY_PUBLIC_URL)"
        )
    return host, int(port)


@contextmanager
def loopback(listen: str) -> Iterator[list[socket.socket]]:
    """Bound sockets; `localhost` is every loopback family that exists, all on one port. Raises ConfigError."""
    host, port = names(listen)
    addresses = ["127.0.0.1", "::1"] if host == "localhost" else [host]
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            if bound := _bind(address, port, optional=bool(sockets)):
                sockets.append(bound)
                port = bound.getsockname()[1]
        yield sockets
    finally:
        for one in sockets:
            one.close()


@contextmanager
def unix(path: Path) -> Iterator[socket.socket]:
    """A Unix socket, 0600 in a 0700 directory, gone afterwards. Raises ConfigError when a gateway is there."""
    try:
        bound = _bind_unix(path)
    except OSError as error:
        raise ConfigError(f"cannot listen on {path}: {error.strerror or error}") from None
    try:
        yield bound
    finally:
        bound.close()
        path.unlink(missing_ok=True)


def _bind_unix(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid() or path.parent.stat().st_mode & 0o022:
        raise ConfigError(f"{path.parent} must belong to you and be writable by nobody else")
    _remove_stale(path)
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


def _bind(address: str, port: int, *, optional: bool) -> socket.socket | None:
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
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRNOTAVAIL and (optional or address == "::1"):
            return None  # this machine has no such loopback
        said = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise ConfigError(
            f"cannot listen on {address} port {port}: {said}; choose another with --listen"
        ) from None
    return bound


def _remove_stale(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ConfigError(f"a gateway already listens on {path}; stop it first")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
