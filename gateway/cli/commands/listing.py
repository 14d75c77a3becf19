"""Asks the gateway for a list of its own, or to take a row of the list away: `dap sessions` and `dap access`."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import GatewayFailed

_OK, _DONE, _NOT_FOUND = 200, 204, 404
T = TypeVar("T")


def fetch(endpoint: Endpoint, name: str) -> dict[str, Any]:
    """Returns the answer that has the list `name` ("sessions", "access"). Raises GatewayFailed."""
    return http.answered(endpoint, "GET", f"/gateway/v1/{name}", _OK)


def rows(body: dict[str, Any], name: str, parse: Callable[[Any], T]) -> list[T]:
    """Returns the rows of the list as `parse` makes them. Raises GatewayFailed where `parse` raises KeyError, TypeError
    or ValueError.
    """
    try:
        return [parse(row) for row in body[name]]
    except (KeyError, TypeError, ValueError):
        raise http.unreadable(f"/gateway/v1/{name}") from None


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
        raise http.refused(status, answer)
