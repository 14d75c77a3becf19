"""What `kubectl exec`, `attach` and `cp` read of an API server before they come to the point: the same answers, read only.

A path is put together from checked names; of a query only a label selector goes on.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiohttp import web

from gateway.backends.contract import ClusterApi
from gateway.backends.kube import pod as pods
from gateway.errors import HopFailed, Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target
from gateway.server.app_keys import BACKENDS, IDENTITY, REGISTRY
from gateway.server.audit import AUDIT
from gateway.server.refusals import Refusal
from gateway.server.routes.clusters import cluster_api, requested_cluster
from gateway.server.routes.kube_api import relay

routes = web.RouteTableDef()
_OTHER = "/clusters/{cluster}"
_SELECTOR = re.compile(r"[A-Za-z0-9_./=!,() -]{1,1000}")
_OBJECT = (
    4 << 20
)  # bytes of one object, at most: etcd takes 1.5 MiB, and to decode 8 MiB stops the loop for 0.2 s
_PART = 20  # pods that are encoded at a time
_DISCOVERY = ("/api", "/apis", "/api/v1", "/apis/apps/v1", "/apis/batch/v1")
_KINDS = (
    *(f"/api/v1/namespaces/{{namespace}}/{kind}" for kind in ("pods", "services", "replicationcontrollers")),
    *(
        f"/apis/apps/v1/namespaces/{{namespace}}/{kind}"
        for kind in ("deployments", "statefulsets", "replicasets", "daemonsets")
    ),
    "/apis/batch/v1/namespaces/{namespace}/jobs",
)


async def discovery(request: web.Request) -> web.StreamResponse:
    """Answers which kinds of objects there are: those of the groups that are served here."""
    if _relays(request):
        return await relay(request)
    path = _pattern(request)
    found = await _read(request, path, Target(requested_cluster(request)))
    if path == "/apis":
        found["groups"] = [
            _known(group) for group in found.get("groups") or [] if group["name"] in ("apps", "batch")
        ]
    return _answer(found)


async def one(request: web.Request) -> web.StreamResponse:
    """Answers with a pod, or a workload that leads to pods."""
    if _relays(request):
        return await relay(request)
    target = _named(request, request.match_info["name"])
    path = _pattern(request).format(namespace=target.namespace, name=target.pod)
    kind = path.split("/")[-2]
    asked = target if kind == "pods" else replace(target, pod=f"{kind}/{target.pod}")
    return _answer(await _read(request, path, asked))


async def selected(request: web.Request) -> web.StreamResponse:
    """Answers with the pods of a label selector, as kubectl looks for those of a workload."""
    if _relays(request):
        return await relay(request)
    selector = request.query.get("labelSelector", "")
    if not _SELECTOR.fullmatch(selector):
        raise Refusal(400, "pods are listed by labelSelector only")
    named = _named(request, "all")
    path, target = pods.selected(named.namespace, selector), Target(named.cluster, named.namespace)
    async with _reading(request, path, target) as kube:
        items = await kube.list(path)
    return await _listed(items)


for _prefix in ("", _OTHER):
    for _path in _DISCOVERY:
        routes.get(_prefix + _path, allow_head=False)(discovery)
    for _path in _KINDS:
        routes.get(f"{_prefix}{_path}/{{name}}", allow_head=False)(one)
    routes.get(f"{_prefix}/api/v1/namespaces/{{namespace}}/pods", allow_head=False)(selected)


def _relays(request: web.Request) -> bool:
    """Returns True if the requested cluster's API can be relayed now, so that it answers by itself."""
    backend = request.app[BACKENDS].get(requested_cluster(request))
    return backend is not None and backend.kube.watches


def _pattern(request: web.Request) -> str:
    """Returns the route's path, as the API server has it."""
    resource = request.match_info.route.resource
    assert resource
    return resource.canonical.removeprefix(_OTHER)


def _named(request: web.Request, name: str) -> Target:
    try:
        target = Target.parse(requested_cluster(request), request.match_info["namespace"], name, None)
    except BadRequest as error:
        raise Refusal(400, str(error)) from None
    if "/" in target.pod:
        raise Refusal(400, f"{name!a} is not a name")
    return target


def _known(group: dict[str, Any]) -> dict[str, Any]:
    """Returns the group with the one version that is served here."""
    first = {"groupVersion": f"{group['name']}/v1", "version": "v1"}
    return {**group, "versions": [first], "preferredVersion": first}


async def _read(request: web.Request, path: str, target: Target) -> dict[str, Any]:
    async with _reading(request, path, target) as kube:
        return await kube.get(path, size=_OBJECT)


@asynccontextmanager
async def _reading(request: web.Request, path: str, target: Target) -> AsyncIterator[ClusterApi]:
    """Yields what reads the path. Raises Refusal, with the API server's own Status where it gave one."""
    who = request[IDENTITY]
    try:
        request.app[REGISTRY].permit(who, "get", target)
        request.app[AUDIT].read(request, str(target), path)
        yield cluster_api(request, target.cluster)
    except (HopFailed, Refused) as error:
        outcome = error.outcome()
        request.app[AUDIT].refused(request, outcome.code, outcome.message)
        raise Refusal.of(outcome) from None


def _answer(found: dict[str, Any]) -> web.Response:
    return web.Response(body=_encoded(found), content_type="application/json")


async def _listed(items: list[dict[str, Any]]) -> web.Response:
    """Answers with a list of pods, and lets others work between its parts: a thread would hold the interpreter."""
    empty = _encoded(
        {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": ""}, "items": []}
    )
    parts = []
    for at in range(0, len(items), _PART):
        parts.append(_encoded(items[at : at + _PART])[1:-1])
        await asyncio.sleep(0)
    body = empty[:-2] + b",".join(parts) + empty[-2:]
    return web.Response(body=body, content_type="application/json")


def _encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
