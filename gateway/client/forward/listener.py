"""Opens local ports: on all addresses of the machine's own loopback, or of a name."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gateway.errors import ConfigError, why
from gateway.server.listen import bind
from gateway.server.listen_names import addresses_of

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
    sockets: list[socket.socket] = []
    missing = OSError("this machine has no such address")
    for one in addresses_of(address):
        try:
            bound = bind(one, sockets[0].getsockname()[1] if sockets else port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken from None
            if error.errno == errno.EACCES:
                message = f"this user may not listen on port {port}: take one from 1024 on, as in 8080:{port}"
                raise ConfigError(message) from None
            missing = error  # an address that the machine has not
            continue
        if bound:
            stack.callback(bound.close)
            bound.setblocking(False)
            sockets.append(bound)
    if not sockets:
        raise ConfigError(f"cannot listen on {address} port {port}: {why(missing)}")
    return sockets
