"""A link that is made for somebody and names a target opens that target, and nothing else."""

import json

import pytest
from support.exec_client import Request
from support.peer import OWN, UPGRADE, V5, once, peer
from support.scripted import pod_called
from test_access_list import listed as access
from test_credentials import INFO, TICKETS, bearer, trade
from test_sessions import kill, listed, opened, page

from gateway.access.identity import owner
from gateway.access.policy import allowed
from gateway.errors import HopFailed
from gateway.sessions import registry


async def made(edge, target, whose="ann", code=201):
    body = {"target": target} | ({"for": whose} if whose else {})
    answer = await once(edge.url, "POST", TICKETS, (edge.proof,), body=json.dumps(body).encode())
    assert answer.code == code, answer.status
    return json.loads(answer.body)


async def proof(edge, target, whose="ann"):
    ticket = (await made(edge, target, whose))["ticket"]
    return bearer(json.loads((await trade(edge, ticket)).body)["token"])


def path(pod="web-0", namespace="default", container=None):
    where = Request(("cat",), pod=pod, streams=("stdin", "stdout")).path()
    where = where.replace("/namespaces/default/", f"/namespaces/{namespace}/")
    return where + (f"&container={container}" if container else "")


async def code_of(edge, where, ann):
    """How a Kubernetes client is answered; one of ours is told the same."""
    async with peer(edge.url) as client:
        code = (await client.upgrade(where, (V5, ann))).code
    if code == 403:
        async with peer(edge.url) as client:
            assert (await client.upgrade(where, (OWN, ann))).code == 101
            said = json.loads((await client.rest())[0][1][1:])
        assert (said["type"], said["code"]) == ("refused", "not_allowed")
        assert "this link is for default/default/web-0" in said["message"]
    return code


async def test_it_opens_its_pod_and_no_other(edge):
    ann = await proof(edge, "default/default/web-0")

    assert await code_of(edge, path(), ann) == 101
    assert await code_of(edge, path(container="main"), ann) == 101
    before = len(edge.backend.opened)
    assert await code_of(edge, path("web-1"), ann) == 403
    assert await code_of(edge, path(namespace="shop"), ann) == 403
    assert await code_of(edge, path("deploy/web-0"), ann) == 403
    assert len(edge.backend.opened) == before
    assert (await once(edge.url, "POST", TICKETS, (ann,))).code == 403


async def test_of_a_container_it_opens_that_one(edge):
    ann = await proof(edge, "default/default/web-0/main")

    assert await code_of(edge, path(container="main"), ann) == 101
    assert await code_of(edge, path(container="side"), ann) == 403


@pytest.mark.parametrize("protocol", [V5, OWN], ids=["v5", "own"])
async def test_a_container_that_is_not_named_is_found_before_it_is_allowed(edge, protocol):
    """The default container decides, which the annotation names; and that one is entered."""
    pods, pod = "/api/v1/namespaces/default/pods", pod_called("web-0", "main", "side")
    edge.backend.kube.objects[f"{pods}/web-0"] = pod
    ann = await proof(edge, "default/default/web-0/main")

    async def said(pod="web-0"):
        async with peer(edge.url) as client:
            answer = await client.upgrade(path(pod), (protocol, ann))
            if protocol is V5:
                return answer.status["message"] if answer.code != 101 else "in"
            body = json.loads((await client.hear())[1][1:])
            return body["message"] if body["type"] == "refused" else "in"

    assert ("choose one of" in await said()) if protocol is V5 else (await said() == "in")
    pod["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "side"}
    before = len(edge.backend.opened)
    refused = "choose one of" if protocol is V5 else "may not exec in default/default/web-0/side"
    assert refused in await said()
    edge.backend.kube.objects[f"{pods}/web-0"] = pod_called("web-0", "side")
    assert "may not exec in default/default/web-0/side" in await said()
    edge.backend.kube.objects[f"{pods}/web-0"] = HopFailed("cluster_unreachable", "no way")
    assert "this link is for default/default/web-0/main alone" in await said()
    assert len(edge.backend.opened) == before
    edge.backend.kube.objects[f"{pods}/web-0"] = pod_called("web-0", "main")
    assert await said() == "in"
    assert {target.container for target, _ in edge.backend.opened} == {"main"}

    edge.backend.kube.asked.clear()
    assert "alone" in await said("web-1")
    assert edge.backend.kube.asked == [], "what may not be read is not looked at"


async def test_the_policy_sees_the_container_of_a_workload_and_whoever_is_free_pays_no_read(
    edge, monkeypatch
):
    seen = []

    def watched(identity, verb, target, *more, **others):
        seen.append((verb, str(target)))
        return allowed(identity, verb, target, *more, **others)

    monkeypatch.setattr(registry, "allowed", watched)
    edge.backend.kube.objects |= {
        "/apis/apps/v1/namespaces/default/deployments/api": {
            "spec": {"selector": {"matchLabels": {"app": "api"}}}
        },
        "/api/v1/namespaces/default/pods?labelSelector=app%3Dapi": [pod_called("api-x7")],
    }
    ann = await proof(edge, "default/default/deploy%2Fapi")
    seen.clear()
    assert await code_of(edge, path("deploy/api"), ann) == 101
    assert seen == [("get", "default/default/deploy/api"), ("exec", "default/default/deploy/api/main")]

    bound = await proof(edge, "default/default/web-0")
    edge.backend.kube.watches = False  # else the pod is read beside the start
    for whose, protocol, reads in ((edge.proof, OWN, 0), (edge.proof, V5, 1), (bound, OWN, 1)):
        edge.backend.kube.asked.clear()
        async with peer(edge.url) as client:
            assert (await client.upgrade(path(), (protocol, whose))).code == 101
            await client.hear()
        assert len(edge.backend.kube.asked) == reads


async def test_it_reads_its_pod_and_nothing_else_of_the_cluster(edge):
    ann = await proof(edge, "default/default/web-0/main")
    where = "/api/v1/namespaces/default/"

    async def code(what):
        answer = await once(edge.url, "GET", what, (ann,))
        return answer.code if answer.code != 403 else answer.status["message"].partition("alone")[1]

    assert await code(where + "pods/web-0") == 200
    for other in ("pods/web-1", "services/web-0", "pods?labelSelector=a%3Db"):
        assert await code(where + other) == "alone"
    assert await code("/gateway/v1/clusters/default/namespace") == 200
    assert (await once(edge.url, "GET", "/gateway/v1/clusters/default/run", (*UPGRADE, V5, ann))).code == 400


async def test_its_lists_show_only_that(edge):
    ann, free = await proof(edge, "default/default/web-0"), page(edge, "ann")
    async with opened(edge, "cat", proof=free):
        (other,) = await listed(edge)
        async with opened(edge, "cat", proof=ann):
            assert len(await listed(edge, free)) == 2
            (row,) = await listed(edge, ann)
            assert row["name"] != other["name"]
            assert (await kill(edge, other["name"], proof=ann)).code == 404
    (grant,) = await access(edge, ann)
    assert grant["target"] == "default/default/web-0"
    assert len(await access(edge, free)) == 2
    said = json.loads((await once(edge.url, "GET", INFO, (ann,))).body)
    assert said["clusters"] == [{"name": "default"}]


async def test_another_cluster_is_not_even_named(edge):
    edge.gateway.backends["east"] = edge.backend
    ann = await proof(edge, "default/default/web-0")

    assert json.loads((await once(edge.url, "GET", INFO, (ann,))).body)["clusters"] == [{"name": "default"}]
    assert await code_of(edge, "/clusters/east" + path(), ann) == 403


@pytest.mark.parametrize("namespace", ["shop", "default"])
async def test_a_namespace_that_is_not_named_is_settled_when_the_link_is_made(edge, namespace):
    edge.backend.default_namespace = namespace
    url = (await made(edge, "default//web-0"))["url"]

    assert url.endswith(f"&path=/default/{namespace}/web-0")
    (row,) = await access(edge)
    assert row["target"] == f"default/{namespace}/web-0"


async def test_a_cluster_that_cannot_say_so_is_named(edge):
    edge.backend.default_namespace = HopFailed("ssh_unreachable", "no route")

    said = await made(edge, "default//web-0", code=503)
    assert "no route" in said["message"]


@pytest.mark.parametrize(
    "target", ["web-0", "/", "default/default/Web_0", "default/default/web-0/a/b", "x/y/z?a=b"]
)
async def test_what_names_no_target_binds_nothing(edge, target):
    await made(edge, target, code=400)
    assert await access(edge) == []


async def test_an_unknown_cluster_is_told(edge):
    assert "has no cluster" in (await made(edge, "nowhere/default/web-0", code=404))["message"]


async def test_without_a_target_and_without_for_a_link_is_bound_to_nothing(edge, logged):
    mine = await proof(edge, "default/default/web-0", whose=None)
    free = await once(edge.url, "POST", TICKETS, (edge.proof,), body=b'{"for":"ann"}')
    ann = bearer(json.loads((await trade(edge, json.loads(free.body)["ticket"])).body)["token"])

    assert await code_of(edge, path("web-1"), mine) == 101
    assert await code_of(edge, path("web-1"), ann) == 101
    assert {(row["identity"], row["target"]) for row in await access(edge)} == {
        (owner(), None),
        ("ann", None),
    }
    await proof(edge, "default/default/web-0")
    lines = [json.loads(line) for line in logged().splitlines() if '"ticket_issued"' in line]
    assert [(line["whose"], line["only"]) for line in lines] == [
        (owner(), None),
        ("ann", None),
        ("ann", "default/default/web-0"),
    ]
