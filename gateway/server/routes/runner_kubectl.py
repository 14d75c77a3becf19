"""Says how a command line of kubectl begins in the runner, for whoever may run it there."""

from aiohttp import web

from gateway.errors import Refused
from gateway.protocol.target import Target
from gateway.server.app_keys import CLUSTERS, IDENTITY, IMPERSONATION, REGISTRY
from gateway.server.audit import AUDIT
from gateway.server.refusals import Refusal
from gateway.server.routes.clusters import requested_cluster

routes = web.RouteTableDef()


@routes.get("/gateway/v1/clusters/{cluster}/kubectl")
async def kubectl(request: web.Request) -> web.Response:
    """Answers with the words that begin each command line of kubectl: its name, the cluster's context and namespace, and in
    whose name it asks, where that is not the runner's account.
    """
    name, identity = requested_cluster(request), request[IDENTITY]
    try:
        request.app[REGISTRY].permit(identity, "run", Target(name))
    except Refused as error:
        request.app[AUDIT].refused(request, error.code, error.message)
        raise Refusal.of(error.outcome()) from None
    cluster = request.app[CLUSTERS][name]
    actor = request.app[IMPERSONATION].actor(identity, name)
    namespace = ("-n", cluster.namespace) if cluster.namespace else ()
    argv = (*cluster.kubectl_argv, *namespace, *(actor.flags if actor else ()))
    return web.json_response({"argv": argv, "impersonates": actor is not None})
