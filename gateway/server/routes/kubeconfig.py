"""What programs need that speak the cluster's API through the gateway: where it listens with TLS, and short-lived tokens."""

import asyncio
import time
from urllib.parse import quote

from aiohttp import web

from gateway.access.policy import allowed
from gateway.access.tokens import SHORT_LIFE
from gateway.errors import HopFailed, Refused
from gateway.protocol.target import Target
from gateway.server.app_keys import ACCESS, BACKENDS, IDENTITY, NAMESPACES, PEER, TLS
from gateway.server.audit import write
from gateway.server.refusals import Refusal
from gateway.settings.config import cluster_called

routes = web.RouteTableDef()
_NAMESPACE = 5.0  # seconds for a cluster to say its namespace


@routes.get("/gateway/v1/kubeconfig")
async def kubeconfig(request: web.Request) -> web.Response:
    """Answers with the URLs of the listener with TLS, the certificate to trust, and each cluster's path and namespace,
    null where the cluster does not say it. `missing`: why there is no such listener.
    """
    tls, identity, backends = request.app[TLS], request[IDENTITY], request.app[BACKENDS]
    names = [name for name in backends if allowed(identity, "get", Target(name), None)]
    first = cluster_called("", backends)
    namespaces = await asyncio.gather(*(_namespace(request, name) for name in names))
    clusters = [
        {
            "name": name,
            "path": "" if name == first else f"/clusters/{quote(name, safe='')}",
            "namespace": found,
        }
        for name, found in zip(names, namespaces, strict=True)
    ]
    body = {"urls": tls.urls, "ca": tls.ca, "missing": tls.missing, "clusters": clusters}
    return web.json_response(body)


@routes.get("/gateway/v1/ca")
async def authority(request: web.Request) -> web.Response:
    """Answers with the certificate that clients have to trust, in PEM, for whoever knows its SHA-256 and trusts nobody yet;
    empty where the system trusts the gateway, or it has no TLS.
    """
    return web.json_response({"ca": request.app[TLS].ca})


@routes.post("/gateway/v1/short-token")
async def short_token(request: web.Request) -> web.Response:
    """Answers with a token that is good for SHORT_LIFE, in place of the credential that the request shows."""
    identity = request[IDENTITY]
    made = None
    if allowed(identity, "short-token", None, None, whose=identity):
        made = request.app[ACCESS].tokens.short(identity, request[PEER])
    if made is None:
        raise Refusal(403, f"{identity.name} gets no short-lived token for this credential")
    token, grant = made
    write("token_issued", request, name=grant.name)
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(grant.expires))
    answer = {"token": token, "expires": expires, "expiresIn": int(SHORT_LIFE), "identity": identity.name}
    return web.json_response(answer, status=201)


async def _namespace(request: web.Request, cluster: str) -> str | None:
    try:
        async with asyncio.timeout(_NAMESPACE):
            return await request.app[NAMESPACES].get(cluster)
    except (TimeoutError, HopFailed, Refused):
        return None
