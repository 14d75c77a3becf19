"""Asks the gateway for a list of its own, or to take a row of the list away: `dap sessions` and `dap access`."""

import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import REFUSED, GatewayFailed

_OK, _DONE, _NOT_FOUND = 200, 204, 404
T = TypeVar("T")


def fetch(endpoint: Endpoint, name: str) -> dict[str, Any]:
    """Returns the answer that has the list `name` ("sessions", "access"). Raises GatewayFailed."""
    status, answer = http.request(endpoint, "GET", f"/gateway/v1/{name}")
    if status != _OK:
        raise _refusal(status, answer)
    if not isinstance(answer, dict):
        raise _unreadable(name)
    return answer


def rows(body: dict[str, Any], name: str, parse: Callable[[Any], T]) -> list[T]:
    """Returns the rows of the list as `parse` makes them. Raises GatewayFailed where `parse` raises KeyError, TypeError
    or ValueError.
    """
    try:
        return [parse(row) for row in body[name]]
    except (KeyError, TypeError, ValueError):
        raise _unreadable(name) from None


def remove(
    endpoint: Endpoint, name: str, row: str, query: str = "", *, unknown: GatewayFailed | None = None
) -> None:
    """Has the gateway end or revoke a row of the list. Raises GatewayFailed; for a row that the gateway does not know
    `unknown`, where one is given, in place of the gateway's own words.
    """
    status, answer = http.request(endpoint, "DELETE", f"/gateway/v1/{name}/{quote(row, safe='')}{query}")
    if status == _NOT_FOUND and unknown:
        raise unknown
    if status != _DONE:
        raise _refusal(status, answer)


def _refusal(status: int, answer: Any) -> GatewayFailed:
    return http.refusal(status, json.dumps(answer).encode())


def _unreadable(name: str) -> GatewayFailed:
    message = f"the gateway's list of {name} cannot be read: use a dap of the gateway's version"
    return GatewayFailed(REFUSED, message)
