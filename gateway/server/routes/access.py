"""Lists who may come in, and takes that away: tickets that nobody has used, and tokens of tabs, machines and programs."""

from collections import Counter
from typing import Any

from aiohttp import web

from gateway.access.grants import Grant
from gateway.access.identity import Identity
from gateway.access.policy import allowed
from gateway.log import printable
from gateway.server.app_keys import ACCESS, IDENTITY, REGISTRY, RELAYED
from gateway.server.audit import write
from gateway.server.refusals import Refusal
from gateway.server.routes.sessions import live_sessions

routes = web.RouteTableDef()


@routes.get("/gateway/v1/access")
async def list_access(request: web.Request) -> web.Response:
    """Lists one's own tickets and tokens, or, for who may, all of them: tickets first, then tokens, the oldest first."""
    tokens, identity = request.app[ACCESS].tokens, request[IDENTITY]
    sessions = Counter(one.credential for one in live_sessions(request.app))
    rows = [
        _row(kind or grant.identity.proof, grant, sessions[grant.name])
        for kind, grants in (("ticket", tokens.tickets()), ("", tokens.pages()))
        for grant in grants
        if _may(identity, "list", grant)
    ]
    return web.json_response({"access": rows})


@routes.delete("/gateway/v1/access/{name}")
async def revoke(request: web.Request) -> web.Response:
    """Revokes a ticket or a token by its name, and ends what it opened."""
    tokens, identity, name = request.app[ACCESS].tokens, request[IDENTITY], request.match_info["name"]
    grant = next((one for one in (*tokens.tickets(), *tokens.pages()) if one.name == name), None)
    if grant is None or not _may(identity, "revoke", grant):
        raise Refusal(404, "there is no such ticket or token, or not any more: 'dap access' lists them")
    tokens.revoke_named(name)
    request.app[REGISTRY].end_revoked(tokens.good())
    request.app[RELAYED].end_revoked(tokens.good())
    await tokens.saved()
    write("access_revoked", request, name=name, whose=grant.identity.name)
    return web.Response(status=204)


def _may(identity: Identity, verb: str, grant: Grant) -> bool:
    return allowed(identity, verb, None, None, whose=grant.identity)


def _row(kind: str, grant: Grant, sessions: int) -> dict[str, Any]:
    return {
        "name": grant.name,
        "kind": kind,
        "identity": grant.identity.name,
        "target": str(bound) if (bound := grant.identity.only or grant.identity.scope) else None,
        "address": grant.address or None,
        "agent": printable(grant.agent) or None,
        "expires": round(grant.expires, 3),
        "used": grant.used and round(grant.used, 3),
        "sessions": sessions,
    }
