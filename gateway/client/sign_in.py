"""Signs in to a gateway and out of it: trades the ticket of a link for a token, and has a token revoked."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import REFUSED, GatewayFailed
from gateway.client.logins import Login
from gateway.client.remote import gateway_url

_TOKEN = "/gateway/v1/token"  # noqa: S105  # a path
_OK, _GONE, _UNAUTHORIZED = 200, 204, 401


@dataclass(frozen=True)
class Link:
    """Holds what a link of `dap open` says: the gateway's URL, and what is behind the #: the ticket, empty where there is
    none.
    """

    url: str
    ticket: str = field(default="", repr=False)


def read_link(text: str) -> Link:
    """Returns what a link, or a gateway's URL alone, says. Raises ConfigError."""
    base, _, fragment = text.strip().partition("#")
    fields = parse_qs(fragment)
    return Link(gateway_url(base, "the gateway's URL"), fields.get("ticket", [""])[0])


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
