"""Signs in to a gateway and out of it: trades the ticket of a link for a token, and has a token revoked. A link may name the
certificate of the authority that the gateway has made for itself, by its SHA-256: then that authority alone is trusted.
"""

import hashlib
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import REFUSED, GatewayFailed
from gateway.client.logins import Login
from gateway.client.remote import gateway_url

_CA = "/gateway/v1/ca"
_TOKEN = "/gateway/v1/token"  # noqa: S105  # a path
_OK, _GONE, _UNAUTHORIZED = 200, 204, 401


@dataclass(frozen=True)
class Link:
    """Holds what a link of `dap open` says: the gateway's URL, and what is behind the #: the ticket, and which authority to
    trust; each is empty where there is none.
    """

    url: str
    ticket: str = field(default="", repr=False)
    pin: str = ""


def read_link(text: str) -> Link:
    """Returns what a link, or a gateway's URL alone, says. Raises ConfigError."""
    base, _, fragment = text.strip().partition("#")
    fields = parse_qs(fragment)
    ticket, pin = (fields.get(key, [""])[0] for key in ("ticket", "ca"))
    return Link(gateway_url(base, "the gateway's URL"), ticket, pin)


def pinned(link: Link) -> str:
    """Returns the certificate of the link's authority, in PEM, which the gateway is asked for; empty where the link names
    none, or there is no TLS. Raises GatewayFailed where the gateway has another.
    """
    if not link.pin or not link.url.startswith("https:"):
        return ""
    _, answer = http.request(Endpoint(link.url), "GET", _CA, anyone=True)
    try:
        found = ssl.PEM_cert_to_DER_cert(answer["ca"])
    except (KeyError, TypeError, ValueError, AttributeError):
        found = b""
    if f"sha256:{hashlib.sha256(found).hexdigest()}" != link.pin:
        message = f"whoever answers at {link.url} has not the certificate that the link names: nothing was sent there"
        raise GatewayFailed(REFUSED, message)
    return ssl.DER_cert_to_PEM_cert(found)


def by_ticket(link: Link, ca: str) -> Login:
    """Trades the link's ticket. `ca`: as of a Login. Raises GatewayFailed."""
    status, answer = http.request(Endpoint(link.url, ca=ca), "POST", _TOKEN, {"ticket": link.ticket})
    if status != _OK:
        raise _refused(status, answer)
    return _login(link.url, answer, ca)


def by_token(url: str, token: str, ca: str) -> Login:
    """Returns a login with a token that somebody was given, once the gateway has taken it. Raises GatewayFailed."""
    status, answer = http.request(Endpoint(url, token=token, ca=ca), "GET", "/gateway/v1/info")
    if status != _OK:
        raise _refused(status, answer)
    return _login(url, (answer if isinstance(answer, dict) else {}) | {"token": token}, ca)


def sign_out(login: Login) -> None:
    """Has the gateway revoke the token; one that it does not know any longer is revoked. Raises GatewayFailed."""
    status, answer = http.request(Endpoint(login.url, token=login.token, ca=login.ca), "DELETE", _TOKEN)
    if status not in (_GONE, _UNAUTHORIZED):
        raise http.refused(status, answer)


def _login(url: str, answer: Any, ca: str) -> Login:
    token, identity = (answer.get(key) if isinstance(answer, dict) else None for key in ("token", "identity"))
    if not isinstance(token, str) or not isinstance(identity, str):
        raise http.unreadable(_TOKEN)
    return Login(url, token, identity, ca)


def _refused(status: int, answer: Any) -> GatewayFailed:
    said = answer.get("message") if isinstance(answer, dict) else None
    return GatewayFailed(REFUSED, f"the gateway let nobody in: {said or f'HTTP {status}'}")
