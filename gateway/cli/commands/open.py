"""Does `dap open`: prints a one-use link for a browser."""

from typing import Any

from gateway.client import http
from gateway.client.endpoint import needed
from gateway.client.exit_status import REFUSED, GatewayFailed
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target, kind_of
from gateway.settings.loader import load

_CREATED = 201


def target(name: str, cluster: str, namespace: str | None, container: str | None) -> Target:
    """Returns the target of POD (also deploy/NAME) with the options, or of CLUSTER/NS/POD[/CONTAINER]. Raises
    BadRequest.
    """
    parts = name.split("/")
    if len(parts) == 1 or (len(parts) == 2 and kind_of(parts[0])):
        return Target.parse(cluster, namespace or None, name, container)
    if len(parts) not in (3, 4):
        raise BadRequest(f"{name!r} is neither POD nor CLUSTER/NS/POD[/CONTAINER]")
    return Target.parse(parts[0], parts[1] or None, parts[2], parts[3] if len(parts) == 4 else container)


def link(wanted: Target | None, whose: str | None, groups: tuple[str, ...] = ()) -> str:
    """Asks the running gateway for a link and returns it. `whose`: None for a link of one's own; `groups`: theirs. Raises
    GatewayFailed, ConfigError.
    """
    body: dict[str, Any] = {"target": wanted.path()} if wanted else {}
    if whose is not None:
        body |= {"for": whose} | ({"groups": groups} if groups else {})
    status, answer = http.request(needed(load()), "POST", "/gateway/v1/tickets", body)
    fields = answer if isinstance(answer, dict) else {}
    url = fields.get("url")
    if status != _CREATED or not isinstance(url, str):
        said = fields.get("message")
        raise GatewayFailed(REFUSED, f"the gateway gave no ticket: {said or f'HTTP {status}'}")
    return url
