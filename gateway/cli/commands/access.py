"""Does `dap access`: who may come in by a link, and ending that."""

import json
import time
from typing import Any

from gateway.cli import token
from gateway.cli.commands import listing
from gateway.cli.console import safe, say
from gateway.cli.table import span, table
from gateway.client.endpoint import needed
from gateway.settings.loader import load
from gateway.settings.paths import state_dir

_LIST = "access"
_COLUMNS = ("NAME", "KIND", "IDENTITY", "TARGET", "FROM", "EXPIRES", "USED", "SESSIONS", "AGENT")


def show(*, as_json: bool) -> int:
    """Prints the list and returns 0. Raises GatewayFailed, ConfigError."""
    body, now = listing.fetch(needed(load()), _LIST), time.time()
    cells = listing.rows(body, _LIST, lambda row: _cells(row, now))
    if as_json:
        print(json.dumps(body))
    elif cells:
        print(table(_COLUMNS, cells))
    else:
        say("no tickets and no tabs")
    return 0


def revoke(name: str) -> int:
    """Revokes the ticket, tab or short-lived token and returns 0; what it opened ends. Raises GatewayFailed, ConfigError."""
    endpoint = needed(load())
    listing.remove(endpoint, _LIST, name)
    for directory in {*token.directories(), str(state_dir())}:
        token.drop(directory, endpoint.login)  # what dap token has kept may be what was revoked
    return 0


def _cells(one: Any, now: float) -> tuple[str, ...]:
    used = "-" if one["used"] is None else f"{span(now - one['used'])} ago"
    cells = (
        one["name"], one["kind"], one["identity"], one["target"] or "any", one["address"] or "-", f"in {span(one['expires'] - now)}", used,
        f"{one['sessions']:d}", one["agent"] or "-",
    )  # fmt: skip
    return tuple(safe(cell) for cell in cells)
