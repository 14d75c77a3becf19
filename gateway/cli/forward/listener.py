"""Opens local ports: on all addresses of the machine's own loopback, or of a name."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gateway.errors import ConfigError, why

_BACKLOG = 128
_TRIES = 20  # free ports that are tried: one that is free for IPv4 may be taken for IPv6


class PortTaken(Exception):  # noqa: N818  # a state of the machine, not a mistake
    """Raised where another program listens on a port already."""


@contextmanager
def listening(address: str, port: int) -> Iterator[list[socket.socket]]:
    """Listens on `port`, 0 for any free one, at each address that `address` names: 127.0.0.1 and ::1 for localhost, as far
    as the machine has them. Raises PortTaken, and ConfigError for what cannot be listened on.
    """
    with ExitStack() as stack:
        yield _bound(stack, address, port)


def _bound(stack: ExitStack, address: str, port: int) -> list[socket.socket]:
    for _ in range(_TRIES):
        with ExitStack() as tried:
            try:
                found = _sockets(tried, address, port)
            except PortTaken:
                if port:
                    raise
                continue
            stack.push(tried.pop_all())
            return found
    raise PortTaken


def _sockets(stack: ExitStack, address: str, port: int) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"cannot listen on {address}: {why(error)}") from None
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, kind, protocol, _, where in found:
        at = (where[0], sockets[0].getsockname()[1] if sockets else port, *where[2:])
        try:
            one = stack.enter_context(socket.socket(family, kind, protocol))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(at)
            one.listen(_BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken from None
            if error.errno == errno.EACCES:
                message = f"this user may not listen on port {port}: take one from 1024 on, as in 8080:{port}"
                raise ConfigError(message) from None
            missing = error  # a family that the machine has not
            continue
        one.setblocking(False)
        sockets.append(one)
    if not sockets:
        raise ConfigError(f"cannot listen on {address} port {port}: {why(missing or OSError('no address'))}")
    return sockets
