"""Which cluster a request is about, and in whose name the cluster is asked."""

from aiohttp import web

from gateway.backends.contract import ClusterApi
from gateway.server.app_keys import BACKENDS, IDENTITY, IMPERSONATION
from gateway.settings.config import cluster_called


def requested_cluster(request: web.Request) -> str:
    """Returns the cluster that the path names, which need not exist; the default one where the path names none."""
    backends = request.app[BACKENDS]
    return cluster_called(request.match_info.get("cluster", ""), backends)


def cluster_api(request: web.Request, cluster: str) -> ClusterApi:
    """Returns the cluster's API as whoever sent the request may ask it."""
    actor = request.app[IMPERSONATION].actor(request[IDENTITY], cluster)
    return request.app[BACKENDS][cluster].kube.acting(actor)
