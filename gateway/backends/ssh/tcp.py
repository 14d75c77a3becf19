"""Connects to an SSH server by TCP, from the address that BindAddress or BindInterface names."""

import asyncio
import fcntl
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.dial import DialFailed, dial, host_port, lookup
from gateway.errors import HopFailed

# netdevice(7); sys/sockio.h of macOS and the BSDs. The answer has the address at the same place
_SIOCGIFADDR = 0x8915 if sys.platform == "linux" else 0xC0206921
_IF_INET6 = Path(
    "/proc/net/if_inet6"
)  # lines of address, index, prefix length, scope, flags, interface, all in hex

Sources = dict[int, tuple[Any, ...]]
"""A local socket address for each address family."""


async def connect_tcp(
    host: str,
    port: int,
    *,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    bind_address: str = "",
    bind_interface: str = "",
    seconds: float,
) -> socket.socket:
    """Returns a connected, non-blocking socket within `seconds`; the arguments are those of SshSettings.

    Raises HopFailed: ssh_unreachable, with each address that was tried and its answer, or because this machine has no
    such local address. When cancelled, all sockets are closed.
    """
    bind: Callable[[socket.socket], None] | None = None
    if bind_address:  # wins over the interface: sshconnect.c, ssh_create_socket
        bind = _binder(f"BindAddress {bind_address}", await _of_name(bind_address, family, seconds))
    elif bind_interface:
        bind = _binder(f"BindInterface {bind_interface}", _of_interface(bind_interface))
    try:
        return await dial(host, port, seconds=seconds, family=family, bind=bind)
    except DialFailed as error:
        raise HopFailed("ssh_unreachable", f"{host_port(host, port)} cannot be reached: {error}") from None


def _binder(setting: str, sources: Sources) -> Callable[[socket.socket], None]:
    if not sources:
        # unreachable, and no mistake in a file: an interface comes and goes, with a VPN
        raise HopFailed("ssh_unreachable", f"{setting}: this machine has no such address")

    def bind(sock: socket.socket) -> None:
        if sock.family not in sources:
            raise OSError(f"{setting} has no address of this family")
        try:
            sock.bind(sources[sock.family])
        except OSError as error:
            raise OSError(f"{setting}: {error.strerror}") from None

    return bind


async def _of_name(name: str, family: socket.AddressFamily, seconds: float) -> Sources:
    """Returns the first address of each family, as ssh does; empty where the name cannot be resolved within
    `seconds`.
    """
    with suppress(OSError, ValueError):
        async with asyncio.timeout(seconds):
            addresses = await lookup(name, 0, family)
        return {kind: where for kind, _, _, _, where in reversed(addresses)}
    return {}


def _of_interface(name: str) -> Sources:
    """Returns the addresses of a network interface, IPv6 on Linux alone; global IPv6 addresses win (sshconnect.c,
    check_ifaddrs).
    """
    sources: Sources = {}
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        sources[socket.AF_INET] = (socket.inet_ntoa(answer[20:24]), 0)
    with suppress(OSError):
        lines = [line.split() for line in _IF_INET6.read_text("utf-8", "replace").splitlines()]
        local = [line for line in lines if line[5] == name]
        for address, index, _, scope, *_ in sorted(local, key=lambda line: int(line[3], 16), reverse=True):
            text = str(ipaddress.IPv6Address(int(address, 16)))
            sources[socket.AF_INET6] = (text, 0, 0, int(index, 16) if scope == "20" else 0)
    return sources
