"""`dap open`: a one-use link for a browser."""

from gateway.cli import rest
from gateway.cli.connect import needed
from gateway.cli.ending import REFUSED, GatewayFailed
from gateway.layers import load
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import KINDS, Target

_CREATED = 201


def target(name: str, cluster: str, namespace: str, container: str | None) -> Target:
    """POD (also deploy/NAME) with the options, or CLUSTER/NS/POD[/CONTAINER]. Raises BadRequest."""
    parts = name.split("/")
    if len(parts) == 1 or (len(parts) == 2 and parts[0] in KINDS):
        return Target.parse(cluster, namespace, name, container)
    if len(parts) not in (3, 4):
        raise BadRequest(f"{name!r} is neither POD nor CLUSTER/NS/POD[/CONTAINER]")
    return Target.parse(parts[0], parts[1], parts[2], parts[3] if len(parts) == 4 else container)


def link(wanted: Target | None) -> str:
    """Asks the running gateway. Raises GatewayFailed, ConfigError."""
    body = {"target": str(wanted)} if wanted else {}
    status, answer = rest.request(needed(load()), "POST", "/gateway/v1/tickets", body)
    fields = answer if isinstance(answer, dict) else {}
    url = fields.get("url")
    if status != _CREATED or not isinstance(url, str):
        said = fields.get("message")
        raise GatewayFailed(REFUSED, f"the gateway gave no ticket: {said or f'HTTP {status}'}")
    return url
