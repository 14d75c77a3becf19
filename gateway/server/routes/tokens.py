"""Makes tokens for machines: a pipeline's or a program's own credential, good within a scope and until a day."""

from typing import Any

from aiohttp import web

from gateway.access.identity import owner
from gateway.access.scope import Scope
from gateway.errors import HopFailed, Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target
from gateway.server.app_keys import ACCESS, BACKENDS, PEER
from gateway.server.audit import write
from gateway.server.refusals import Refusal
from gateway.server.routes.state import NAME, check_may_give, groups_of, json_body
from gateway.sessions.registry import unknown_cluster

routes = web.RouteTableDef()
_LEAST, _MOST = 60, 400 * 24 * 3600  # seconds that a token may be good
_NOT_FOUND = 404


@routes.post("/gateway/v1/tokens")
async def new_token(request: web.Request) -> web.Response:
    """Answers with a new token for a machine, whose secret no later answer has. `unchecked`: the namespaces of which no
    cluster could say whether they exist.
    """
    check_may_give(request, "tokens")
    body = await json_body(request)
    name, life = _name(body.get("name")), _life(body.get("expiresIn"))
    try:
        scope = Scope.parse(*(body.get(key, []) for key in ("clusters", "namespaces", "verbs")))
        unchecked = await _unknown(request, scope)
    except BadRequest as error:
        raise Refusal(400, str(error)) from None
    made = request.app[ACCESS].tokens.machine(name, scope, life, request[PEER], groups_of(body))
    if made is None:
        raise Refusal(409, f"there is a token {name} already: revoke it first, or take another name")
    token, grant = made
    await request.app[ACCESS].tokens.saved()
    write("token_created", request, name=grant.name, whose=name, scope=str(scope))
    answer = {"token": token, "name": grant.name, "expires": round(grant.expires, 3), "unchecked": unchecked}
    return web.json_response(answer, status=201)


def _name(value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise Refusal(400, "name must be letters, digits and . _ @ + -, at most 64 of them")
    if value == owner():
        raise Refusal(400, f"{value} is who runs this gateway: name the token after the machine that uses it")
    return value


def _life(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _LEAST <= value <= _MOST:
        raise Refusal(400, "expiresIn must be a number of seconds: at least a minute, at most 400 days")
    return float(value)


async def _unknown(request: web.Request, scope: Scope) -> list[str]:
    """Returns the scope's namespaces of which no cluster could say whether they exist. Raises Refusal for a cluster that
    is not configured, and for a namespace that no cluster of the scope has; BadRequest for what is no name of one.
    """
    backends = request.app[BACKENDS]
    for name in scope.clusters:
        if name not in backends:
            raise Refusal.of(unknown_cluster(name, list(backends)).outcome())
    unchecked = []
    for namespace in scope.namespaces:
        Target.parse(next(iter(backends)), namespace, "any", None)
        found = [await _has(backends[name].kube, namespace) for name in scope.clusters or backends]
        if True not in found and None in found:
            unchecked.append(namespace)
        elif True not in found:
            raise Refusal(
                404, f"there is no namespace {namespace} in {', '.join(scope.clusters or backends)}"
            )
    return unchecked


async def _has(kube: Any, namespace: str) -> bool | None:
    """Returns whether the cluster has the namespace; None where the cluster does not say."""
    try:
        await kube.get(f"/api/v1/namespaces/{namespace}")
    except Refused as error:
        return False if error.status and error.status.code == _NOT_FOUND else None
    except HopFailed:
        return None
    return True
