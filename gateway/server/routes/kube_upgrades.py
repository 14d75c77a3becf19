"""Requests to the cluster's API that ask for another protocol than HTTP, and become sessions that pass as bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from aiohttp import hdrs, web

from gateway.access.policy import needs_container
from gateway.backends.contract import Response
from gateway.errors import Refused
from gateway.protocol import query
from gateway.protocol.request_info import RequestInfo
from gateway.protocol.subprotocols import V4
from gateway.protocol.target import Command, Target
from gateway.server import lookup
from gateway.server.app_keys import IDENTITY, REGISTRY, RELAYED, SPDY_EXEC
from gateway.server.relayed import Passing
from gateway.server.routes.clusters import cluster_api
from gateway.server.upgraded import pass_bytes
from gateway.sessions.passed import PassedSession


@dataclass(frozen=True)
class Asked:
    """Holds what a request asks for. `path`: with its query, as the API server gets it; `upgrade`: the protocol that is asked
    for in place of HTTP, empty for none; `command`: of an upgrade to exec or attach.
    """

    path: str
    info: RequestInfo
    target: Target
    upgrade: str = ""
    command: Command | None = None

    @property
    def kind(self) -> str:
        """Returns what people call the session: "exec (SPDY)", "port-forward", "proxy (websocket)"."""
        if self.info.verb == "portforward":
            return "port-forward"
        return f"{self.info.verb} ({self.upgrade.partition('/')[0]})"


async def with_command(request: web.Request, asked: Asked) -> Asked:
    """Returns what is asked for with the upgrade and, of exec and attach, with the command, and with the container where the
    policy needs to know that: a read of the pod finds it where the request names none. Raises BadRequest, Refused.
    """
    upgrade = request.headers.get(hdrs.UPGRADE, "") if request.method in ("GET", "POST") else ""
    asked = replace(asked, upgrade=upgrade)
    if not upgrade or asked.info.kind not in ("pods/exec", "pods/attach"):
        return asked
    fields = query.parse_query(request.rel_url.raw_query_string)
    command = query.command("exec" if asked.info.verb == "exec" else "attach", fields, V4)
    return replace(asked, command=command, target=await _entered(request, asked.target, command))


async def _entered(request: web.Request, target: Target, command: Command) -> Target:
    identity = request[IDENTITY]
    if target.container or not needs_container(identity):
        return target
    request.app[REGISTRY].permit(identity, "get", target, command)
    return (await lookup.resolve(cluster_api(request, target.cluster), target, V4, exact=True)).target


def check_spdy(request: web.Request, asked: Asked) -> None:
    """Raises Refused where commands that pass as bytes are switched off, and the request may begin one: a node's proxy leads
    to the kubelet, whose own exec upgrades too.
    """
    command = asked.info.verb in ("exec", "attach") or asked.info.kind == "nodes/proxy"
    if asked.upgrade and command and not request.app[SPDY_EXEC]:
        raise Refused(
            "not_allowed",
            "exec and attach over SPDY are switched off in this gateway (spdy_exec = false, DAP_GATEWAY_SPDY_EXEC): use "
            "kubectl 1.31 or newer, which speaks WebSocket",
        )


@contextmanager
def slot_for(request: web.Request, asked: Asked) -> Iterator[Callable[[], None]]:
    """Counts a request that asks for an upgrade as a session while the block runs: all connections of one identity to the
    ports of one pod together as one, since a program there opens many. Yields what gives that back earlier. Raises Refused
    at a limit.
    """
    if not asked.upgrade:
        yield lambda: None
        return
    quota = request.app[REGISTRY].quota
    count = quota.share if asked.info.verb == "portforward" else quota.reserve
    slot = count(request[IDENTITY], asked.target)
    try:
        yield slot.free
    finally:
        slot.free()


async def pass_session(
    request: web.Request, response: Response, asked: Asked, passing: Passing
) -> web.StreamResponse:
    """Passes bytes until the session ends: with either side, or early, as every request that passes on. Raises Refusal."""
    verb, command = asked.info.verb, asked.command
    session = PassedSession(request[IDENTITY], asked.target, verb, asked.kind, passing.end, command)
    passing.on_end = session.finish
    return await pass_bytes(request, response, asked.upgrade, session, request.app[RELAYED].sessions)
