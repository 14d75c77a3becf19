"""What `kubectl exec`, `attach` and `cp` read of an API server before they come to the point: the same answers, read only.

A path is put together from checked names; of a query only a label selector goes on.
"""

import json
import re
from dataclasses import replace
from typing import Any

from aiohttp import web

from gateway.backends.kube import pod as pods
from gateway.errors import HopFailed, Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target
from gateway.server.app_keys import BACKENDS, IDENTITY, REGISTRY
from gateway.server.audit import AUDIT
from gateway.server.refusals import Refusal
from gateway.server.routes.clusters import requested_cluster

routes = web.RouteTableDef()
_OTHER = "/clusters/{cluster}"
_SELECTOR = re.compile(r"[A-Za-z0-9_./=!,() -]{1,1000}")
_DISCOVERY = ("/api", "/apis", "/api/v1", "/apis/apps/v1", "/apis/batch/v1")
_KINDS = (
    *(f"/api/v1/namespaces/{{namespace}}/{kind}" for kind in ("pods", "services", "replicationcontrollers")),
    *(
        f"/apis/apps/v1/namespaces/{{namespace}}/{kind}"
        for kind in ("deployments", "statefulsets", "replicasets", "daemonsets")
    ),
    "/apis/batch/v1/namespaces/{namespace}/jobs",
)


async def discovery(request: web.Request) -> web.Response:
    """Answers which kinds of objects there are: those of the groups that are served here."""
    path = _pattern(request)
    found = await _read(request, path, Target(requested_cluster(request)))
    if path == "/apis":
        found["groups"] = [
            _known(group) for group in found.get("groups") or [] if group["name"] in ("apps", "batch")
        ]
    return _answer(found)


async def one(request: web.Request) -> web.Response:
    """Answers with a pod, or a workload that leads to pods."""
    target = _named(request, request.match_info["name"])
    path = _pattern(request).format(namespace=target.namespace, name=target.pod)
    kind = path.split("/")[-2]
    asked = target if kind == "pods" else replace(target, pod=f"{kind}/{target.pod}")
    return _answer(await _read(request, path, asked))


async def selected(request: web.Request) -> web.Response:
    """Answers with the pods of a label selector, as kubectl looks for those of a workload."""
    selector = request.query.get("labelSelector", "")
    if not _SELECTOR.fullmatch(selector):
        raise Refusal(400, "pods are listed by labelSelector only")
    target = _named(request, "all")
    return _answer(
        await _read(
            request, pods.selected(target.namespace, selector), Target(target.cluster, target.namespace)
        )
    )


for _prefix in ("", _OTHER):
    for _path in _DISCOVERY:
        routes.get(_prefix + _path, allow_head=False)(discovery)
    for _path in _KINDS:
        routes.get(f"{_prefix}{_path}/{{name}}", allow_head=False)(one)
    routes.get(f"{_prefix}/api/v1/namespaces/{{namespace}}/pods", allow_head=False)(selected)


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
    """Raises Refusal, with the API server's own Status where it gave one."""
    who = request[IDENTITY]
    try:
        request.app[REGISTRY].permit(who, "get", target)
        request.app[AUDIT].read(request, str(target), path)
        return await request.app[BACKENDS][target.cluster].kube.get(path)
    except (HopFailed, Refused) as error:
        outcome = error.outcome()
        request.app[AUDIT].refused(request, outcome.code, outcome.message)
        raise Refusal.of(outcome) from None


def _answer(found: dict[str, Any]) -> web.Response:
    return web.Response(
        body=json.dumps(found, separators=(",", ":")).encode(), content_type="application/json"
    )
