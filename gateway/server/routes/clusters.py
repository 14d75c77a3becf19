"""Which cluster a request is about."""

from aiohttp import web

from gateway.server.app_keys import BACKENDS
from gateway.settings.config import cluster_called


def requested_cluster(request: web.Request) -> str:
    """Returns the cluster that the path names, which need not exist; the default one where the path names none."""
    backends = request.app[BACKENDS]
    return cluster_called(request.match_info.get("cluster", ""), backends)
