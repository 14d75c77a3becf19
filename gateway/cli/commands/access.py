"""Does `dap access`: who may come in by a link, and ending that."""

import json
import time
from typing import Any
from urllib.parse import quote

from gateway.cli.console import safe, say
from gateway.cli.table import span, table
from gateway.client import http
from gateway.client.endpoint import needed
from gateway.client.exit_status import REFUSED, GatewayFailed
from gateway.settings.loader import load

_PATH = "/gateway/v1/access"
_OK, _DONE = 200, 204
_COLUMNS = ("NAME", "KIND", "IDENTITY", "TARGET", "FROM", "EXPIRES", "USED", "SESSIONS", "AGENT")


def show(*, as_json: bool) -> int:
    """Prints the list and returns 0. Raises GatewayFailed, ConfigError."""
    status, answer = http.request(needed(load()), "GET", _PATH)
    if status != _OK:
        raise http.refusal(status, json.dumps(answer).encode())
    rows = _cells(answer)
    if as_json:
        print(json.dumps(answer))
    elif rows:
        print(table(_COLUMNS, rows))
    else:
        say("no tickets and no tabs")
    return 0


def revoke(name: str) -> int:
    """Revokes the ticket or tab and returns 0; what it opened ends. Raises GatewayFailed, ConfigError."""
    status, answer = http.request(needed(load()), "DELETE", f"{_PATH}/{quote(name, safe='')}")
    if status != _DONE:
        raise http.refusal(status, json.dumps(answer).encode())
    return 0


def _cells(answer: Any) -> list[tuple[str, ...]]:
    now = time.time()
    try:
        return [_row(one, now) for one in answer["access"]]
    except (KeyError, TypeError, ValueError):
        raise GatewayFailed(
            REFUSED, "the gateway's list of access cannot be read: use a dap of the gateway's version"
        ) from None


def _row(one: Any, now: float) -> tuple[str, ...]:
    used = "-" if one["used"] is None else f"{span(now - one['used'])} ago"
    cells = (
        one["name"], one["kind"], one["identity"], one["target"] or "any", one["address"] or "-", f"in {span(one['expires'] - now)}", used,
        f"{one['sessions']:d}", one["agent"] or "-",
    )  # fmt: skip
    return tuple(safe(cell) for cell in cells)
