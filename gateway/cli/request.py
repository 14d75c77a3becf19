"""A target and a command -> the path and query of a WebSocket request."""

from urllib.parse import quote, urlencode

from gateway.protocol.target import Command, Target


def cluster_prefix(cluster: str) -> str:
    """The cluster `default` stands at the root, where Kubernetes clients look for it."""
    return "" if cluster == "default" else f"/clusters/{quote(cluster, safe='')}"


def path(target: Target, command: Command, *, resumable: bool = False) -> str:
    """Everything is percent-encoded as UTF-8. The terminal's size goes along, so that it starts with it."""
    if command.verb == "run":
        place = f"/gateway/v1/clusters/{quote(target.cluster, safe='')}/run"
    else:
        pod = f"/api/v1/namespaces/{quote(target.namespace, safe='')}/pods/{quote(target.pod, safe='')}"
        place = f"{cluster_prefix(target.cluster)}{pod}/{command.verb}"
    query = _query(target, command)
    if resumable and command.tty:
        query.append(("resume", "true"))
    return f"{place}?{urlencode(query, quote_via=quote, safe='')}"


def _query(target: Target, command: Command) -> list[tuple[str, str]]:
    query = [("command", argument) for argument in command.argv]
    if target.container:
        query.append(("container", target.container))
    query += [(name, "true") for name in ("stdin", "stdout", "stderr", "tty") if getattr(command, name)]
    if command.kill:
        query.append(("killOnDisconnect", "true"))
    if command.tty and command.size:
        query += [("columns", str(command.size.columns)), ("rows", str(command.size.rows))]
    return query
