"""Reads where the gateway is to listen, and says under which names clients find it there."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from gateway.errors import ConfigError, why
from gateway.masking import mask_url
from gateway.protocol.loopback import LOOPBACK

OFF = "none"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # as they are written, to tell them apart from names
_HOST = re.compile(r"[A-Za-z0-9:._-]+")


def names(listen: str) -> tuple[str, int]:
    """Returns host and port of HOST:PORT. Raises ConfigError for what is not loopback: plain http would carry tokens
    over the network.
    """
    host, port = _parts(listen, "localhost:8080")
    if host != "localhost" and not _loopback(host):
        raise ConfigError(
            f"will not listen on {listen!r}: plain http beyond loopback would carry tokens over the network. "
            "Listen on localhost and put a proxy with TLS in front (DAP_GATEWAY_PUBLIC_URL)"
        )
    return host, port


def secure_names(listen: str) -> tuple[str, int]:
    """Returns host and port of HOST:PORT, where a listener with TLS may be. Raises ConfigError."""
    host, port = _parts(listen, "localhost:8443")
    if not _HOST.fullmatch(host):
        raise ConfigError(f"cannot listen on {listen!r}: use a name or an address, as in localhost:8443")
    return host, port


def _parts(listen: str, example: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"cannot listen on {listen!r}: use HOST:PORT, as in {example}")
    return host, int(port)


def host_of(name: str) -> str:
    """Returns the host of a Host header, without its port and without brackets."""
    return urlsplit(f"//{name}").hostname or name


def public_url(url: str) -> str:
    """Returns what links begin with. Raises ConfigError where it would put a password into each of them."""
    try:
        parts = urlsplit(url)
        usable = "@" not in parts.netloc and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"gateway.public_url is {mask_url(url)!r}: use a URL such as https://dap.example.com, "
            "without user name and password, which would stand in every browser link"
        )
    return url


def addresses_of(host: str) -> list[str]:
    """Returns the addresses of a listener on `host`. Raises ConfigError."""
    if host == "localhost":
        return [*LOOPBACK]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot listen on {host!r}: {why(error)}") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def hosts(listen: str, sockets: Iterable[socket.socket], default_port: int = 80) -> list[str]:
    """Returns the Host headers that mean the listener of these sockets, the nicest first. `default_port`: which clients
    leave out.
    """
    host, _ = _parts(listen, "localhost:8080")
    found: list[str] = []
    for bound in sockets:
        address, port = bound.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        suffix = "" if port == default_port else f":{port}"
        found += [f"{host}{suffix}"] if not found and not _is_address(host) else []
        found += [f"localhost{suffix}"] if address in EVERYWHERE and not found else []
        found += [f"{shown}{suffix}"] if address not in EVERYWHERE else []
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
