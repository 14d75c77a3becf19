"""Does `dap sessions`, `dap attach`, `dap kill`: what runs in the gateway, whoever opened it."""

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from gateway.cli.commands import listing
from gateway.cli.console import safe, say
from gateway.cli.table import span, table
from gateway.client.endpoint import Endpoint, missing, running
from gateway.client.exit_status import UNREACHABLE, USAGE, GatewayFailed
from gateway.protocol.outcome import CODES
from gateway.settings.loader import load

_LIST = "sessions"
_COLUMNS = ("SESSION", "TARGET", "COMMAND", "AGE", "IDLE", "IN", "OUT", "CLIENT", "IDENTITY")
_COMMAND_WIDTH = 30  # characters of a command in the table


@dataclass(frozen=True)
class Listed:
    """Holds a session of the list. `cells`: as the table shows it, in the order of its columns."""

    name: str
    resumable: bool
    cells: tuple[str, ...]

    @classmethod
    def parse(cls, body: Any, now: float) -> "Listed":
        """Returns the session that a row of the gateway's list describes. `now`: seconds since the epoch.
        Raises KeyError, TypeError or ValueError for what is no session.
        """
        target = "/".join(
            str(body[part]) for part in ("cluster", "namespace", "pod", "container") if body[part]
        )
        command = _command(body)
        if len(command) > _COMMAND_WIDTH:
            command = command[: _COMMAND_WIDTH - 1] + "…"
        client = "attached" if body["attached"] else "waiting"
        cells = (
            body["name"], target, command, span(now - body["opened"]), span(body["idle"]), _amount(body["in"]),
            _amount(body["out"]), client, body["identity"],
        )  # fmt: skip
        return cls(body["name"], bool(body["resumable"]), tuple(safe(cell) for cell in cells))


def show(*, as_json: bool) -> int:
    """Prints the list and returns 0. Raises GatewayFailed, ConfigError."""
    body = listing.fetch(_needed(), _LIST)
    if as_json:
        print(json.dumps(body))
    elif found := _parse(body):
        print(table(_COLUMNS, [one.cells for one in found]))
    else:
        say("no sessions")
    return 0


def attach(name: str | None) -> int:
    """Takes the session over; without a name the only one that can be resumed. Returns our exit status, as of
    a shell; 2 where several could be meant, which are listed. Raises GatewayFailed, ConfigError.
    """
    endpoint = _needed()
    if name is None:
        every = _parse(listing.fetch(endpoint, _LIST))
        found = [one for one in every if one.resumable]
        if not found:
            raise _unknown(
                f"no session can be attached to ({len(every)} cannot be resumed): dap shell opens a new one"
            )
        if len(found) > 1:
            say("which one? dap attach SESSION")
            print(table(_COLUMNS, [one.cells for one in found]), flush=True)
            return USAGE
        name = found[0].name
    from gateway.cli.commands import session  # noqa: PLC0415  # a list needs no terminal and no WebSocket

    return session.take_over(name, endpoint)


def kill(name: str, reason: str) -> int:
    """Ends the session and returns 0; whoever has it is told the reason. Raises GatewayFailed, ConfigError."""
    query = f"?{urlencode({'reason': reason}, quote_via=quote)}" if reason else ""
    listing.remove(_needed(), _LIST, name, query, unknown=_unknown(CODES["session_unknown"].meaning))
    return 0


def _needed() -> Endpoint:
    config = load()
    endpoint = running(config)
    if endpoint is None:
        raise GatewayFailed(
            UNREACHABLE,
            f"{missing(config)}: start one with dap serve, or name one with DAP_GATEWAY_URL (a command that runs "
            "its own gateway keeps its session to itself)",
        )
    return endpoint


def _parse(body: dict[str, Any]) -> list[Listed]:
    now = time.time()
    return listing.rows(body, _LIST, lambda row: Listed.parse(row, now))


def _unknown(message: str) -> GatewayFailed:
    return GatewayFailed("session_unknown", message)


def _command(body: Any) -> str:
    """Returns what runs in the session. One that passes as bytes has a kind, which stands first."""
    words = body["command"] or ()
    if kind := body.get("kind"):
        return " ".join((str(kind), *map(str, words)))
    return " ".join(map(str, words or ("(shell)",)))


def _amount(size: float) -> str:
    """Returns the bytes as 42, 1.5k or 20M."""
    for unit in ("", "k", "M", "G"):
        if size < 1000 or unit == "G":
            break
        size /= 1000
    return f"{size:.0f}{unit}" if size >= 10 or not unit else f"{size:.1f}{unit}"
