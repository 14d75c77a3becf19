"""The app: its routes, and the guard that every request passes."""

import asyncio
from collections.abc import Awaitable, Callable, Container
from typing import Final

import structlog
from aiohttp import hdrs, web

from gateway.access.bearer import Unauthorized, bearer, identify
from gateway.access.peer import Peer
from gateway.server.app_keys import (
    ACCESS,
    BACKENDS,
    CHECKS,
    CLUSTERS,
    IDENTITY,
    IMPERSONATION,
    LIMITS,
    LINKS,
    LISTS,
    METRICS,
    NAMESPACES,
    PEER,
    PRODUCTION,
    REGISTRY,
    RELAYED,
    SPDY_EXEC,
    TLS,
    TRANSFERS,
    UPGRADES,
)
from gateway.server.audit import AUDIT, Audit
from gateway.server.connection import connection_of
from gateway.server.gateway import Gateway
from gateway.server.peer import peer_of
from gateway.server.refusals import Refusal
from gateway.server.routes import (
    access,
    attach,
    dial,
    files,
    forward,
    health,
    kube_api,
    kube_reads,
    kubeconfig,
    lists,
    page,
    proof,
    runner_kubectl,
    sessions,
    state,
    tokens,
)
from gateway.server.routes import exec as exec_route
from gateway.server.upgraded import AnswerSent
from gateway.server.websocket.upgrades import Upgrades

log = structlog.get_logger()
# A query's fields: argv has one for each word. To parse a mebibyte of them takes half a second
MAX_FIELDS = 16 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ALIVE: Final = ("GET", "/healthz")
OPEN: Final = frozenset(
    {
        ("GET", "/"),
        ("GET", "/assets/{name}"),
        ALIVE,
        ("GET", "/gateway/v1/ca"),
        ("GET", "/gateway/v1/downloads/{secret}"),
        ("GET", "/gateway/v1/proof"),
        ("POST", "/gateway/v1/token"),
    }
)
"""The only routes without a credential, but for a secret in the path; tests hold the router against this list."""


def create_app(gateway: Gateway) -> web.Application:
    """Returns the app with all routes behind one guard."""
    app = web.Application(middlewares=[guard], client_max_size=64 * 1024)
    app[ACCESS] = gateway.access
    app[BACKENDS] = gateway.backends
    app[CHECKS] = gateway.checks
    app[CLUSTERS] = gateway.config.clusters
    app[IMPERSONATION] = gateway.impersonation
    app[LIMITS] = gateway.config.limits
    app[LINKS] = gateway.links
    app[LISTS] = gateway.lists
    app[METRICS] = gateway.metrics
    app[AUDIT] = Audit(gateway.metrics)
    app[NAMESPACES] = gateway.namespaces
    app[PRODUCTION] = gateway.config.production
    app[REGISTRY] = gateway.registry
    app[RELAYED] = gateway.relayed
    app[SPDY_EXEC] = gateway.config.spdy_exec
    app[TLS] = gateway.tls
    app[TRANSFERS] = gateway.transfers
    app[UPGRADES] = Upgrades(gateway.config.limits.upgrades_per_identity)
    app.on_response_prepare.append(add_headers)
    for part in (
        exec_route,
        attach,
        kube_reads,
        kube_api,
        health,
        state,
        access,
        dial,
        files,
        forward,
        runner_kubectl,
        kubeconfig,
        lists,
        sessions,
        page,
        proof,
        tokens,
    ):
        app.add_routes(part.routes)
    return app


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Has browsers and proxies keep no answer and guess no type, unless a route says otherwise; names no version."""
    response.headers[hdrs.SERVER] = "dap"
    if response.status != 101:
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Checks where a request comes from and who asks, then calls the handler; turns every refusal into a Status
    object.
    """
    try:
        peer = request[PEER] = peer_of(request, request.app[ACCESS].proxies)
        with connection_of(request).serving(request, peer.address):
            return await _guarded(request, peer, handler)
    except Refusal as refusal:
        return refusal.response(request)
    except Unauthorized:
        return Refusal(401, "Unauthorized").response(request)
    except web.HTTPException as answer:
        if answer.status < 400:
            raise
        refused = Refusal(answer.status, answer.reason).response(request)
        if hdrs.ALLOW in answer.headers:
            refused.headers[hdrs.ALLOW] = answer.headers[hdrs.ALLOW]
        return refused
    except web.RequestPayloadError as broken:
        return Refusal(400, str(broken)).response(request)
    except ConnectionError:
        if request.transport:
            request.transport.close()
        return AnswerSent(499)
    except Exception:
        log.exception("request_defect", path=request.path)
        return Refusal(
            500, "Internal error occurred: a defect of the gateway; its log has the details"
        ).response(request)


async def _guarded(request: web.Request, peer: Peer, handler: Handler) -> web.StreamResponse:
    if why := request.app[ACCESS].hosts.refuse(peer, any_host=_listed(request, {ALIVE})):
        request.app[AUDIT].refused(request, "place", why)
        raise Refusal(403, why)
    if request.rel_url.raw_query_string.count("&") >= MAX_FIELDS:
        raise Refusal(414, f"a query has at most {MAX_FIELDS} fields")
    if not _listed(request, OPEN):
        await _identify(request, peer)
    return await handler(request)


async def _identify(request: web.Request, peer: Peer) -> None:
    """Sets the request's identity. Raises Refusal, late for a wrong token."""
    identity = identify(peer, request.app[ACCESS].tokens)
    if identity:
        request[IDENTITY] = identity
        connection_of(request).identified()
        return
    given = bearer(peer)
    message = "a wrong or expired token" if given else "no credential"
    request.app[AUDIT].refused(request, "unauthorized", message)
    if given:
        await asyncio.sleep(request.app[ACCESS].wrong.delay(peer.address))
    raise Refusal(401, "Unauthorized")


def _listed(request: web.Request, routes: Container[tuple[str, str]]) -> bool:
    resource = request.match_info.route.resource
    method = hdrs.METH_GET if request.method == hdrs.METH_HEAD else request.method
    return resource is not None and (method, resource.canonical) in routes
