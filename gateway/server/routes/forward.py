"""Finds where a forwarded port leads: the pod behind a name now, and its port. The bytes then go to the pod's own
portforward, over the API that is passed on.
"""

from dataclasses import replace

from aiohttp import web

from gateway.backends.kube import pod as pods
from gateway.errors import HopFailed, Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.outcome import Outcome, located
from gateway.protocol.target import Target
from gateway.server import lookup
from gateway.server.app_keys import BACKENDS, IDENTITY, NAMESPACES, REGISTRY
from gateway.server.audit import AUDIT
from gateway.server.refusals import Refusal
from gateway.server.routes.clusters import cluster_api, requested_cluster

routes = web.RouteTableDef()
_WITHOUT_RELAY = "this cluster is reached without a relay, so no ports are forwarded: the runner needs python3, see dap doctor"


@routes.get("/gateway/v1/clusters/{cluster}/forward")
async def forward(request: web.Request) -> web.Response:
    """Answers with the pod to which `target` leads now, and the number of `port` there. `namespace` may be absent."""
    target = Target(requested_cluster(request))
    try:
        query = request.query
        target = Target.parse(target.cluster, query.get("namespace") or None, query.get("target", ""), None)
        pod, port, note = await _found(request, target)
    except BadRequest as error:
        raise _refusal(request, Outcome("bad_request", str(error))) from None
    except TimeoutError:
        raise _refusal(request, Outcome("cluster_unreachable", "the API server does not answer")) from None
    except (Refused, HopFailed) as error:
        raise _refusal(request, located(error.outcome(), target)) from None
    meta = pod["metadata"]
    return web.json_response({
        "cluster": target.cluster, "namespace": meta["namespace"], "pod": meta["name"], "uid": pods.uid(pod),
        "port": port, "note": note,
    })  # fmt: skip


async def _found(request: web.Request, target: Target) -> tuple[pods.Object, int, str]:
    registry, identity = request.app[REGISTRY], request[IDENTITY]
    registry.permit(identity, "portforward", target)
    if not request.app[BACKENDS][target.cluster].kube.watches:
        raise Refused("bad_request", _WITHOUT_RELAY)
    if not target.namespace:
        target = replace(target, namespace=await request.app[NAMESPACES].get(target.cluster))
        registry.permit(identity, "portforward", target)
    return await lookup.forwarded(cluster_api(request, target.cluster), target, request.query.get("port", ""))


def _refusal(request: web.Request, outcome: Outcome) -> Refusal:
    request.app[AUDIT].refused(request, outcome.code, outcome.message)
    return Refusal.of(outcome)
