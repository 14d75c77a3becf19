"""Does `dap tokens`: credentials of machines, with a scope and a last day."""

import json
import time
from typing import Any

from gateway.cli.commands import access, listing
from gateway.cli.console import safe, say
from gateway.cli.table import span, table
from gateway.client import http
from gateway.client.endpoint import needed
from gateway.client.exit_status import REFUSED, GatewayFailed
from gateway.settings.loader import load

_CREATED = 201
_LIST = "access"  # machines' tokens are rows of the list of who may come in
_COLUMNS = ("NAME", "FOR", "FROM", "EXPIRES", "USED", "SESSIONS")


def create(
    name: str,
    clusters: tuple[str, ...],
    namespaces: tuple[str, ...],
    verbs: tuple[str, ...],
    groups: tuple[str, ...],
    seconds: int,
) -> int:
    """Has the gateway make a token, prints its secret alone on stdout, and returns 0. Raises GatewayFailed, ConfigError."""
    asked = {
        "name": name, "clusters": clusters, "namespaces": namespaces, "verbs": verbs, "groups": groups, "expiresIn": seconds,
    }  # fmt: skip
    answer = http.answered(needed(load()), "POST", "/gateway/v1/tokens", _CREATED, asked)
    print(safe(str(answer.get("token"))))
    say(f"good for {span(seconds)}, as DAP_GATEWAY_TOKEN or as a bearer token; it is not shown again")
    for namespace in answer.get("unchecked", []):
        say(f"no cluster could say whether there is a namespace {safe(str(namespace))}")
    return 0


def show(*, as_json: bool) -> int:
    """Prints the list and returns 0. Raises GatewayFailed, ConfigError."""
    found, now = _machines(), time.time()
    if as_json:
        print(json.dumps({"tokens": found}))
    elif found:
        print(table(_COLUMNS, listing.rows({_LIST: found}, _LIST, lambda row: _cells(row, now))))
    else:
        say("no tokens of machines: dap tokens create NAME makes one")
    return 0


def revoke(name: str) -> int:
    """Revokes the token with this name and returns 0; what it opened ends. Raises GatewayFailed, ConfigError."""
    named = [row["name"] for row in _machines() if name in (row["identity"], row["name"])]
    if not named:
        raise GatewayFailed(REFUSED, f"there is no token {safe(name)}: dap tokens lists them")
    return access.revoke(named[0])


def _machines() -> list[dict[str, Any]]:
    body = listing.fetch(needed(load()), _LIST)
    return [row for row in listing.rows(body, _LIST, dict) if row["kind"] == "machine"]


def _cells(one: Any, now: float) -> tuple[str, ...]:
    used = "-" if one["used"] is None else f"{span(now - one['used'])} ago"
    cells = (
        one["identity"], one["target"], one["address"] or "-", f"in {span(one['expires'] - now)}", used,
        f"{one['sessions']:d}",
    )  # fmt: skip
    return tuple(safe(cell) for cell in cells)
