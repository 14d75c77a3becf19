"""What is ours alone: tickets and page tokens, and what there is here for whoever asks."""

import asyncio
import json
import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from gateway import __version__
from gateway.access.bearer import bearer
from gateway.access.identity import Identity
from gateway.access.policy import allowed
from gateway.access.tokens import TICKET_LIFE, TOKEN_LIFE
from gateway.errors import HopFailed, Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target
from gateway.server.app_keys import (
    ACCESS,
    BACKENDS,
    IDENTITY,
    LINKS,
    NAMESPACES,
    PEER,
    PRODUCTION,
    REGISTRY,
    RELAYED,
)
from gateway.server.audit import AUDIT, write
from gateway.server.refusals import Refusal
from gateway.server.routes.clusters import requested_cluster
from gateway.settings.config import cluster_called

routes = web.RouteTableDef()
_GROUP = re.compile(
    r"(?!system:)[\w.@+:/-]{1,64}", re.ASCII
)  # system: is the cluster's own, as system:masters
_BODY = 10.0  # seconds for a body to come
_GROUPS = 32
NAME = re.compile(r"[\w.@+-]{1,64}", re.ASCII)  # of a person or a machine


@routes.get("/gateway/v1/info")
async def info(request: web.Request) -> web.Response:
    """Answers who asks, which clusters they may use, and the gateway's version."""
    identity = request[IDENTITY]
    may = [name for name in request.app[BACKENDS] if allowed(identity, "get", Target(name), None)]
    clusters = [{"name": name, **_production(request, name)} for name in may]
    return web.json_response({"version": __version__, "clusters": clusters, "identity": identity.name})


def _production(request: web.Request, cluster: str) -> dict[str, list[str]]:
    """Returns the patterns of the cluster's namespaces where the page warns, if there are any."""
    split = (pattern.partition("/") for pattern in request.app[PRODUCTION])
    found = [namespaces or "*" for clusters, _, namespaces in split if fnmatchcase(cluster, clusters)]
    return {"production": found} if found else {}


@routes.get("/gateway/v1/clusters/{cluster}/namespace")
async def namespace(request: web.Request) -> web.Response:
    """Answers with the namespace of a pod that is named without one, as the cluster has it now."""
    cluster = requested_cluster(request)
    try:
        request.app[REGISTRY].permit(request[IDENTITY], "get", Target(cluster))
        return web.json_response({"namespace": await request.app[NAMESPACES].get(cluster)})
    except (HopFailed, Refused) as error:
        raise Refusal.of(error.outcome()) from None


@routes.post("/gateway/v1/tickets")
async def new_ticket(request: web.Request) -> web.Response:
    """Answers with a browser link, whose ticket is good for one use within TICKET_LIFE. `for` names another owner:
    what is opened with the link is theirs alone, and with a `target` only that can be opened. `groups`: theirs.
    """
    identity = request[IDENTITY]
    check_may_give(request, "tickets")
    body = await json_body(request)
    target, other = body.get("target", ""), body.get("for")
    if not isinstance(target, str) or len(target) > 600 or not target.isprintable():
        raise Refusal(400, 'target must be text like "default/default/web-0"')
    holder = _holder(other, groups_of(body)) if other is not None else identity
    if other is not None and target:
        holder = replace(holder, only=await _settled(request, target.strip("/")))
        target = holder.only.path() if holder.only else ""
    ticket = request.app[ACCESS].tokens.ticket(holder, request[PEER])
    only = str(holder.only) if holder.only else None
    write("ticket_issued", request, whose=holder.name, only=only)
    answer = {"ticket": ticket, "url": request.app[LINKS].url(ticket, target), "expiresIn": int(TICKET_LIFE)}
    return web.json_response(answer, status=201)


@routes.post("/gateway/v1/token")
async def trade_ticket(request: web.Request) -> web.Response:
    """Trades a ticket for a page token. Open to all, since the ticket is the credential."""
    ticket = (await json_body(request)).get("ticket")
    tokens = request.app[ACCESS].tokens
    traded = tokens.trade(ticket, request[PEER]) if isinstance(ticket, str) else None
    if traded is None:
        message = "this ticket is unknown, used or expired: run 'dap open' for a fresh link"
        request.app[AUDIT].refused(request, "ticket", message)
        await asyncio.sleep(request.app[ACCESS].wrong.delay(request[PEER].address))
        raise Refusal(401, message)
    token, identity = traded
    write("signed_in", request, identity, name=identity.credential)
    return web.json_response({"token": token, "expiresIn": int(TOKEN_LIFE), "identity": identity.name})


@routes.delete("/gateway/v1/token")
async def revoke_token(request: web.Request) -> web.Response:
    """Revokes the page token that this request carries, and ends what it opened."""
    tokens = request.app[ACCESS].tokens
    tokens.revoke(bearer(request[PEER]) or "")
    write("signed_out", request, name=request[IDENTITY].credential)
    request.app[REGISTRY].end_revoked(tokens.good())
    request.app[RELAYED].end_revoked(tokens.good())
    await tokens.saved()
    return web.Response(status=204)


def check_may_give(request: web.Request, what: str) -> None:
    """Raises Refusal, and logs that, where whoever asks may not give others access. `what`: is asked for, as "tickets"."""
    identity = request[IDENTITY]
    if not allowed(identity, "ticket", None, None):
        message = f"{identity.name} may not make {what} here: only who runs the gateway, and no page"
        request.app[AUDIT].refused(request, "not_allowed", message)
        raise Refusal(403, message)


def groups_of(body: dict[str, Any]) -> tuple[str, ...]:
    """Returns the groups that a body names for somebody. Raises Refusal."""
    groups = body.get("groups", [])
    if not isinstance(groups, list) or len(groups) > _GROUPS:
        raise Refusal(400, f"groups must be a list of at most {_GROUPS} names")
    for group in groups:
        if not isinstance(group, str) or not _GROUP.fullmatch(group):
            raise Refusal(
                400, "a group is letters, digits and . _ @ + : / -, at most 64, and none of system:"
            )
    return tuple(groups)


def _holder(other: object, groups: tuple[str, ...]) -> Identity:
    if not isinstance(other, str) or not NAME.fullmatch(other):
        raise Refusal(400, "for must be a name: letters, digits and . _ @ + -, at most 64 of them")
    return Identity(other, "page", groups)


async def _settled(request: web.Request, path: str) -> Target:
    """Returns the target of a path, with the cluster and the namespace that are meant now. Raises Refusal."""
    backends = request.app[BACKENDS]
    try:
        target = Target.from_path(path)
        target = replace(target, cluster=cluster_called(target.cluster, backends))
        request.app[REGISTRY].permit(request[IDENTITY], "exec", target)
        if not target.namespace:
            target = replace(target, namespace=await request.app[NAMESPACES].get(target.cluster))
        return target
    except BadRequest as error:
        raise Refusal(400, str(error)) from None
    except (HopFailed, Refused) as error:
        raise Refusal.of(error.outcome()) from None


async def json_body(request: web.Request) -> dict[str, Any]:
    """Returns the JSON object that a request carries; an empty one for no body. Raises Refusal."""
    try:
        async with asyncio.timeout(_BODY):
            data = await request.read()
        body = json.loads(data) if data else {}
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {_BODY:g} s") from None
    except (ValueError, RecursionError, web.RequestPayloadError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal(400, "the body must be a JSON object")
    return body
