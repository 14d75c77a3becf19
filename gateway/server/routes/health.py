"""Says how the gateway and its hops are: to each identity what it may know of them."""

import asyncio
from typing import Any

from aiohttp import web

from gateway.access.identity import Identity
from gateway.access.policy import allowed, operates
from gateway.backends.contract import HopCheck
from gateway.protocol.target import Target
from gateway.server.app_keys import BACKENDS, CHECKS, IDENTITY, METRICS, REGISTRY
from gateway.server.refusals import Refusal
from gateway.sessions.registry import unknown_cluster
from gateway.settings.config import cluster_called

routes = web.RouteTableDef()
Checks = dict[str, tuple[float, list[HopCheck]]]  # of each cluster: seconds ago, hops in order


@routes.get("/healthz")
async def healthz(_: web.Request) -> web.Response:
    """Answers ok: the event loop is alive."""
    return web.Response(text="ok\n")


@routes.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    """Answers whether a cluster answers, as it was at most 15 s ago, and the code of the first hop that does not; with
    `?cluster=NAME` of that cluster alone. An identity sees each hop of the clusters
    that it may read; the operator sees also what a hop says, which has addresses and paths, and the SSH connections.
    """
    identity = request[IDENTITY]
    checks = await _checks(request, _asked(request, identity))
    failed = [hop.outcome for _, hops in checks.values() for hop in hops if hop.outcome]
    ready = any(all(hop.ok for hop in hops) for _, hops in checks.values())
    code = None if ready else failed[0].code if failed else "cluster_unknown"
    if request.app[REGISTRY].stopping:
        ready, code = False, "shutdown"
    shown = _shown(request.app, checks, operator=operates(identity))
    said = {"ready": ready, "code": code, "clusters": shown}
    return web.json_response(said, status=200 if ready else 503)


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Answers with the metrics in Prometheus' text format: those of a cluster to whoever may read in the cluster."""
    text = request.app[METRICS].text(_readable(request, request[IDENTITY]))
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _readable(request: web.Request, identity: Identity) -> list[str]:
    return [name for name in request.app[BACKENDS] if allowed(identity, "get", Target(name), None)]


def _asked(request: web.Request, identity: Identity) -> list[str]:
    """Returns the clusters that a request for readiness is about. Raises Refusal for a name of no cluster that the
    identity may read.
    """
    backends, known = request.app[BACKENDS], _readable(request, identity)
    if not (asked := request.query.get("cluster")):
        return known
    if (name := cluster_called(asked, backends)) in known:
        return [name]
    raise Refusal.of(unknown_cluster(asked, known).outcome())


async def _checks(request: web.Request, names: list[str]) -> Checks:
    backends, cache = request.app[BACKENDS], request.app[CHECKS]
    async with asyncio.TaskGroup() as tasks:
        checks = {name: tasks.create_task(cache.get(name, backends[name])) for name in names}
    return {name: check.result() for name, check in checks.items()}


def _shown(app: web.Application, checks: Checks, *, operator: bool) -> dict[str, Any]:
    return {
        name: {
            "hops": [_hop(one, operator=operator) for one in hops],
            "checkedSecondsAgo": round(ago, 1),
            **(_inside(app, name) if operator else {}),
        }
        for name, (ago, hops) in checks.items()
    }


def _hop(check: HopCheck, *, operator: bool) -> dict[str, Any]:
    """Returns a row of a hop, with an empty message where that is for the operator alone."""
    message = check.outcome.message if check.outcome else check.note
    return {
        "hop": str(check.hop),
        "ok": check.ok,
        "ms": check.ms,
        "code": check.outcome.code if check.outcome else None,
        "message": message if operator else "",
    }


def _inside(app: web.Application, cluster: str) -> dict[str, Any]:
    """Returns the cluster's SSH connections, and which of its long-lived tasks were started again, and why."""
    stats = app[BACKENDS][cluster].stats()
    recovery = app[REGISTRY].recovery.restarts.get(cluster, {})
    return {"ssh": dict(stats.connections), "restarts": {**stats.restarts, **recovery}}
