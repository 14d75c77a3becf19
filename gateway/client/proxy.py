"""Decides which proxy a request to the gateway goes through, for WebSocket and REST alike: by the variables that curl
reads, and where none is set by the system's settings.
"""

import base64
import ipaddress
import os
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_PORTS = {"http": 80, "https": 443}
_SOCKS = ("socks", "socks4", "socks4a", "socks5", "socks5h")


class ProxyUnusable(Exception):  # noqa: N818  # said of a setting
    """Raised for a proxy that dap cannot use. The message names the setting, and none of its text: a password may be in it."""


@dataclass(frozen=True)
class Proxy:
    """Describes an HTTP proxy. `origin`: the variable that names it; `authorization`: the value of its header, or empty."""

    host: str
    port: int
    tls: bool
    origin: str
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """Returns the proxy for http or https to a host; None where there is none or NO_PROXY excepts the host. Raises
    ProxyUnusable.
    """
    named = urllib.request.getproxies()
    if _excepted(named.get("no", ""), host, port):
        return None
    if not urllib.request.getproxies_environment() and urllib.request.proxy_bypass(f"{host}:{port}"):
        return None
    for kind in (scheme, "all", "socks"):
        if text := named.get(kind, ""):
            return _parse(f"socks://{text}" if kind == "socks" else text, _origin(kind))
    return None


def _origin(kind: str) -> str:
    names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
    return next((name for name in names if os.environ.get(name)), "the system's settings")


def _parse(text: str, origin: str) -> Proxy:
    """Returns the proxy that the text names; without a scheme it is http, as for curl."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme in _SOCKS:
            raise ProxyUnusable(
                f"{origin} names a SOCKS proxy, which dap does not speak: name an HTTP proxy for the gateway, or the "
                "gateway's host in NO_PROXY"
            )
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
        user, password = (unquote(one or "", errors="strict") for one in (parts.username, parts.password))
        if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment or " " in text:
            raise ValueError  # noqa: TRY301  # as of what urlsplit refuses itself
    except (ValueError, KeyError):
        raise ProxyUnusable(
            f"the proxy that {origin} names cannot be used: it has to be http://[USER:PASSWORD@]HOST:PORT, or with "
            "https, what is special in USER and PASSWORD as %XX"
        ) from None
    known = base64.b64encode(f"{user}:{password}".encode()).decode() if parts.username else ""
    return Proxy(parts.hostname, port, parts.scheme == "https", origin, f"Basic {known}" if known else "")


def _excepted(text: str, host: str, port: int) -> bool:
    """Returns True if NO_PROXY names the host: by a name or the end of one, an address, a network, each also with a
    port, or `*`.
    """
    return any(
        _names(entry.lower(), host.lower().removesuffix("."), port)
        for entry in text.replace(",", " ").split()
    )


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if (address := _address(host)) and (network := _network(entry)):
        return address in network
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and not _network(entry):
        return port == int(number) and _names(name, host, port)
    domain = entry.removeprefix("*").removeprefix(".").removesuffix(".")
    return bool(domain) and (host == domain or (host.endswith(f".{domain}") and not address))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    address, bracket, rest = entry.removeprefix("[").partition("]")
    if bracket and rest[:1] not in ("", "/"):
        return None  # a port follows
    try:
        return ipaddress.ip_network(address + rest, strict=False)
    except ValueError:
        return None
