"""What kubectl reads before it comes to the point, where the API is not relayed: checked names go on, nothing else."""

import asyncio
import json
import time

import pytest
from support.peer import once

from gateway.errors import HopFailed
from gateway.protocol.status import failure
from gateway.server.routes import kube_reads

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
async def edge(edge):
    """A gateway whose chain cannot relay the API."""
    edge.backend.kube.watches = False
    return edge


async def get(edge, path, method="GET"):
    return await once(edge.url, method, path, (edge.proof,))


GOES_ON = [
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
]


async def test_what_goes_on(subtests, edge):
    for path, asked in GOES_ON:
        with subtests.test(path):
            edge.backend.kube.objects[asked] = {"kind": "X", "groups": []}

            answer = await get(edge, path)

            assert (answer.code, answer.headers["content-type"]) == (200, "application/json")
            assert json.loads(answer.body) == {"kind": "X", "groups": []}
            assert edge.backend.kube.asked.pop() == asked
            assert not edge.backend.kube.asked


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("labelSelector=app%3Dweb", "labelSelector=app%3Dweb"),
        ("labelSelector=a%20in%20%28b%2Cc%29&limit=1", "labelSelector=a%20in%20%28b%2Cc%29"),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 20, 41])
async def test_pods_of_a_selector_come_in_one_list(edge, query, asked, count):
    """However many pages the API server makes of them."""
    found = [{"metadata": {"name": f"web-{number}", "labels": {"ü": "[]"}}} for number in range(count)]
    edge.backend.kube.objects[f"{PODS}?{asked}"] = found

    answer = await get(edge, f"{PODS}?{query}")

    assert (answer.code, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == {
        "kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": ""}, "items": found,
    }  # fmt: skip
    assert edge.backend.kube.asked == [f"{PODS}?{asked}"]


async def test_a_long_list_does_not_stop_others():
    pod = {
        "metadata": {"name": "web"},
        "spec": {"env": [{"name": f"E{n}", "value": "x"} for n in range(400)]},
    }
    found = [pod] * 2000
    before = time.monotonic()
    size = len(json.dumps(found))
    at_once, longest = time.monotonic() - before, 0.0

    async def tick():
        nonlocal longest
        while True:
            last = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - last)

    async with asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(tick())
        answer = await kube_reads._listed(found)
        ticking.cancel()

    assert size > 20_000_000
    assert isinstance(answer.body, bytes)
    assert longest < at_once / 3


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


DOES_NOT = [
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
]


async def test_what_does_not(subtests, edge):
    for path, code in DOES_NOT:
        with subtests.test(path):
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
