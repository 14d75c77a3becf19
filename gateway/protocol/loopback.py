"""Tells which names and addresses mean this machine itself."""

import ipaddress

LOOPBACK = ("127.0.0.1", "::1")
_NAME = "localhost"


def is_loopback(host: str) -> bool:
    """True for `localhost` and every loopback address, an IPv4 address written as IPv6 among them. `host`: without
    brackets; the dot of a full name makes no difference.
    """
    host = host.lower().removesuffix(".")
    if host == _NAME:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
