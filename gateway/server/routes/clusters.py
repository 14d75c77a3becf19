"""Which cluster a request is about, and in whose name the cluster is asked."""

from aiohttp import web

from gateway.backends.contract import ClusterApi
from gateway.server.app_keys import BACKENDS, IDENTITY, IMPERSONATION
from gateway.server.lookup import Known, nothing_known
from gateway.settings.config import cluster_called


def requested_cluster(request: web.Request) -> str:
    """Returns the cluster that the path names, which need not exist; the default one where the path names none."""
    backends = request.app[BACKENDS]
    return cluster_called(request.match_info.get("cluster", ""), backends)


def known_pods(request: web.Request, cluster: str) -> Known:
    """Returns what tells of a pod that a session has watched; nothing to somebody in whose own name the cluster is asked."""
    if request.app[IMPERSONATION].actor(request[IDENTITY], cluster):
        return nothing_known
    backend = request.app[BACKENDS][cluster]
    return lambda target: backend.monitor(target).known()


def cluster_api(request: web.Request, cluster: str) -> ClusterApi:
    """Returns the cluster's API as whoever sent the request may ask it."""
    actor = request.app[IMPERSONATION].actor(request[IDENTITY], cluster)
    return request.app[BACKENDS][cluster].kube.acting(actor)
