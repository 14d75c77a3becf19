"""What kubectl reads before it comes to the point: checked names go on, and nothing else."""

import json

import pytest
from support.peer import once

from gateway.errors import HopFailed
from gateway.protocol.status import failure

PODS = "/api/v1/namespaces/default/pods"


async def get(edge, path, method="GET"):
    return await once(edge.url, method, path, (edge.proof,))


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/api", "/api"),
        ("/api?timeout=32s", "/api"),
        ("/apis", "/apis"),
        ("/api/v1", "/api/v1"),
        ("/apis/apps/v1", "/apis/apps/v1"),
        (f"{PODS}/web-0", f"{PODS}/web-0"),
        (f"{PODS}/web-0?x=../..", f"{PODS}/web-0"),
        ("/api/v1/namespaces/default/services/web", "/api/v1/namespaces/default/services/web"),
        (
            "/apis/apps/v1/namespaces/default/deployments/api",
            "/apis/apps/v1/namespaces/default/deployments/api",
        ),
        ("/apis/batch/v1/namespaces/a/jobs/b", "/apis/batch/v1/namespaces/a/jobs/b"),
        (f"{PODS}?labelSelector=app%3Dweb", f"{PODS}?labelSelector=app%3Dweb"),
        (f"{PODS}?labelSelector=a%20in%20%28b%2Cc%29&limit=1", f"{PODS}?labelSelector=a%20in%20%28b%2Cc%29"),
    ],
)
async def test_what_goes_on(edge, path, asked):
    edge.backend.kube.objects[asked] = {"kind": "X", "groups": []}

    answer = await get(edge, path)

    assert (answer.code, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == {"kind": "X", "groups": []}
    assert edge.backend.kube.asked == [asked]


async def test_groups_are_those_that_lead_to_pods(edge):
    versions = [{"groupVersion": "batch/v1", "version": "v1"}, {"groupVersion": "batch/v2", "version": "v2"}]
    edge.backend.kube.objects["/apis"] = {
        "groups": [
            {"name": "batch", "versions": versions},
            {"name": "rbac.authorization.k8s.io", "versions": []},
        ]
    }

    (group,) = json.loads((await get(edge, "/apis")).body)["groups"]

    assert group["versions"] == versions[:1]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{PODS}", 400),
        (f"{PODS}?labelSelector=a%26b", 400),
        (f"{PODS}?labelSelector=a%0Ab", 400),
        (f"{PODS}?fieldSelector=x", 400),
        (f"{PODS}/Web_0", 400),
        (f"{PODS}/..%2f..%2fsecrets%2fx", 400),
        (f"{PODS}/deploy%2Fx", 400),
        ("/api/v1/namespaces/UP/pods/x", 400),
        ("/api/v1/namespaces/default/secrets/x", 404),
        ("/api/v1/namespaces/default/configmaps/x", 404),
        ("/api/v1/namespaces/default/deployments/x", 404),
        ("/apis/apps/v1/namespaces/default/pods/x", 404),
        ("/apis/rbac.authorization.k8s.io/v1", 404),
        ("/api/v1/nodes", 404),
        (f"{PODS}/web-0/log", 404),
        ("/clusters/other/api", 404),
    ],
)
async def test_what_does_not(edge, path, code):
    answer = await get(edge, path)

    assert answer.code == code
    assert answer.status["status"] == "Failure"
    assert edge.backend.kube.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_is_changed(edge, method):
    answer = await get(edge, f"{PODS}/web-0", method)

    assert answer.code in (404, 405)
    assert edge.backend.kube.asked == []


async def test_it_takes_a_credential(edge):
    answer = await once(edge.url, "GET", f"{PODS}/web-0")

    assert answer.code == 401
    assert edge.backend.kube.asked == []


async def test_errors_are_the_api_servers_own(edge):
    status = failure(404, 'pods "p" not found', details={"name": "p", "kind": "pods"})
    edge.backend.kube.objects[f"{PODS}/p"] = HopFailed("pod_not_found", status.message, status)

    answer = await get(edge, f"{PODS}/p")

    assert (answer.code, answer.body) == (404, status.json(http=True))


async def test_a_hop_that_fails_is_named(edge):
    edge.backend.kube.error = HopFailed("cluster_unreachable", "no way")

    answer = await get(edge, f"{PODS}/p")

    assert answer.code == 503
    assert "cluster: no way (cluster_unreachable)" in answer.status["message"]
