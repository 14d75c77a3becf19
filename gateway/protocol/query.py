"""Turns the query of an exec or attach request into a Command, with the API server's reading of it.

k8s.io/api core/v1 PodExecOptions; booleans: apimachinery pkg/runtime/converter.go
Convert_Slice_string_To_bool.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from gateway.protocol.errors import BadRequest
from gateway.protocol.subprotocols import Subprotocol
from gateway.protocol.target import Command, TerminalSize, Verb

_NUMBER = re.compile(r"[0-9]{1,5}")


def parse_query(raw: str) -> list[tuple[str, str]]:
    """Returns the names and values of a form-encoded query, exact. Raises BadRequest (400) for what is not
    UTF-8, and never replaces it.
    """
    pairs = []
    for part in raw.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_text(name), _text(value)))
    return pairs


def command(verb: Verb, query: Iterable[tuple[str, str]], row: Subprotocol) -> Command:
    """Returns the command that the query asks for. Raises BadRequest. Unknown parameters are ignored, as in a
    cluster.
    """
    fields = list(query)
    if any(name == "dryRun" for name, _ in fields):
        raise BadRequest("dryRun is not supported")
    argv = tuple(value for name, value in fields if name == "command") if verb != "attach" else ()
    if not argv and verb != "attach" and not (row.control and verb == "exec"):
        raise BadRequest("you must specify at least one command for the container")
    tty = _flag(fields, "tty")
    return Command(
        argv,
        verb,
        stdin=_flag(fields, "stdin"),
        stdout=_flag(fields, "stdout"),
        stderr=_flag(fields, "stderr") and not tty,  # a terminal has one output: the kubelet drops the other
        tty=tty,
        size=_size(fields) if row.control else None,
        kill_on_disconnect=row.control and verb == "exec" and _flag(fields, "killOnDisconnect"),
        exact=row.control and _flag(fields, "exact"),
        own_client=row.control,
    )


def resumable(raw: str) -> bool:
    """True if the client can resume. `raw` was parsed before and is valid."""
    return _flag(parse_query(raw), "resume")


def container(query: Iterable[tuple[str, str]]) -> str | None:
    """Returns the first `container`; None when it is empty or not given."""
    return next((value for name, value in query if name == "container"), None) or None


def _flag(query: list[tuple[str, str]], name: str) -> bool:
    value = next((value for key, value in query if key == name), None)
    return value is not None and value != "0" and value.lower() != "false"


def _size(query: list[tuple[str, str]]) -> TerminalSize | None:
    """Returns the size in `columns` and `rows`; None without them. Our own clients send it at once, so that
    the terminal starts with it.
    """
    columns, rows = (
        next((int(value) for key, value in query if key == name and _NUMBER.fullmatch(value)), None)
        for name in ("columns", "rows")
    )
    return TerminalSize.parse(columns, rows)


def _text(quoted: str) -> str:
    try:
        return unquote_to_bytes(quoted.replace("+", " ")).decode("utf-8")
    except UnicodeError:
        raise BadRequest("the query is not valid UTF-8: percent-encode arguments as UTF-8") from None
