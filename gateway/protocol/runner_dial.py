"""Connections that begin in a cluster's runner: what a client asks the gateway for, by HTTP's Upgrade (RFC 9110, 7.8)."""

from typing import Final
from urllib.parse import quote, urlencode

from gateway.protocol.errors import BadRequest

PROTOCOL: Final = "tcp.dap-gateway"
"""What the connection speaks after the 101: the bytes of the address that was dialled, both ways, each way with an end of its
own where the transport has that (TLS has not).
"""

_LONGEST = 253  # characters of a host name (RFC 1035, 2.3.4)
_PORTS = 65536


def path(cluster: str, host: str, port: int) -> str:
    """Returns the path, with its query, of a request for a connection to HOST:PORT as the runner of the cluster reaches it."""
    return f"/gateway/v1/clusters/{quote(cluster, safe='')}/dial?{urlencode({'host': host, 'port': port})}"


def address(host: str, port: str) -> str:
    """Returns what the relay is to dial. Raises BadRequest for a host or a port that cannot be one."""
    if not host or len(host) > _LONGEST or not host.isprintable() or set(host) & set(" /[]@?#\\"):
        raise BadRequest(f"{host[:_LONGEST]!a} is no host: write a name or an address")
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < _PORTS):
        raise BadRequest(f"{port[:_LONGEST]!a} is no port: use 1 to {_PORTS - 1}")
    return f"tcp:{host}:{int(port)}"
