"""Turns a target and a command into the path and query of a WebSocket request."""

from urllib.parse import quote, urlencode

from gateway.protocol.argv import IN_BAND, STAND_IN
from gateway.protocol.query import parse_query
from gateway.protocol.target import Command, Target

LONGEST = (
    8 << 10
)  # bytes of a request's path and query: what proxies take, with room for the rest of its line


def without_command(path: str) -> tuple[str, list[str]]:
    """Returns the path of a session whose command comes in messages, and the command's arguments."""
    place, _, raw = path.partition("?")
    fields = parse_query(raw)
    argv = [value for name, value in fields if name == "command"]
    rest = [field for field in fields if field[0] != "command"]
    query = urlencode([*rest, ("command", STAND_IN), IN_BAND], quote_via=quote, safe="")
    return f"{place}?{query}", argv


def cluster_prefix(cluster: str) -> str:
    """Returns the path's beginning for a cluster; empty for `default`, which stands at the root, where
    Kubernetes clients look for it.
    """
    return "" if cluster == "default" else f"/clusters/{quote(cluster, safe='')}"


def path(target: Target, command: Command, *, resumable: bool = False) -> str:
    """Returns the path and query of a session, all percent-encoded as UTF-8. A pod without a namespace has a
    path of its own. The terminal's size goes along, so that the terminal starts with it.
    """
    ours, pod = f"/gateway/v1/clusters/{quote(target.cluster, safe='')}", f"pods/{quote(target.pod, safe='')}"
    if command.verb == "run":
        prefix = f"{ours}/run"
    elif not target.namespace:
        prefix = f"{ours}/{pod}/{command.verb}"
    else:
        namespace = quote(target.namespace, safe="")
        prefix = f"{cluster_prefix(target.cluster)}/api/v1/namespaces/{namespace}/{pod}/{command.verb}"
    query = _query(target, command)
    if resumable and command.tty:
        query.append(("resume", "true"))
    return f"{prefix}?{urlencode(query, quote_via=quote, safe='')}"


def _query(target: Target, command: Command) -> list[tuple[str, str]]:
    query = [("command", argument) for argument in command.argv]
    if target.container:
        query.append(("container", target.container))
    query += [(name, "true") for name in ("stdin", "stdout", "stderr", "tty") if getattr(command, name)]
    if command.kill_on_disconnect:
        query.append(("killOnDisconnect", "true"))
    if command.exact:
        query.append(("exact", "true"))
    if command.tty and command.size:
        query += [("columns", str(command.size.columns)), ("rows", str(command.size.rows))]
    return query
