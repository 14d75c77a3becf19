"""A pod that is named without a namespace: in that of the cluster, which is asked when it is needed and is said."""

import asyncio
import json

import pytest
from support.exec_client import Access, Request, run
from support.peer import once
from support.served import TOKEN

from gateway.errors import HopFailed
from gateway.protocol.status import failure
from gateway.protocol.subprotocols import OWN, V5
from gateway.server import namespaces

PLACE = "/gateway/v1/clusters/default"


@pytest.fixture
def access(edge):
    return Access(edge.url, TOKEN)


class Unnamed(Request):
    """Of a pod, without its namespace."""

    def path(self):
        query = super().path().partition("?")[2]
        return f"{PLACE}/pods/{self.pod}/{self.verb}?{query}"


@pytest.fixture
def clock(monkeypatch):
    """Seconds that have passed for the cache; set it."""
    now = [1000.0]
    monkeypatch.setattr(namespaces.time, "monotonic", lambda: now[0])
    return now


async def test_it_runs_in_the_namespace_of_the_cluster_and_says_so(edge, access, logged):
    edge.backend.default_namespace = "team-a"

    async def look(talk):
        listed = json.loads((await once(edge.url, "GET", "/gateway/v1/sessions", (edge.proof,))).body)
        assert [one["namespace"] for one in listed["sessions"]] == ["team-a"]
        await talk.half_close()

    said = await run(access, Unnamed(("cat",), pod="p", streams=("stdin", "stdout")), look, row=OWN)

    assert said.controls[0]["target"]["namespace"] == "team-a"
    assert [target.namespace for target, _ in edge.backend.opened] == ["team-a"]
    assert '"target": "default/team-a/p' in logged()


async def test_a_namespace_that_is_named_is_not_asked_for(edge, access):
    edge.backend.default_namespace = "team-a"
    for row in (OWN, V5):
        said = await run(access, Request(("echo", "x"), pod="p", namespace="shop"), row=row)
        assert said.stdout == b"x"

    assert {target.namespace for target, _ in edge.backend.opened} == {"shop"}
    assert edge.backend.asked_namespace == 0


async def test_kubernetes_clients_name_it(edge, access):
    said = await run(access, Unnamed(("echo", "x"), pod="p"), row=V5)

    assert said.refusal.code == 400
    assert b"namespace" in said.refusal.body
    assert edge.backend.opened == []


async def test_a_burst_asks_once_and_a_changed_context_is_noticed(edge, access, clock):
    async def opened_in():
        before = len(edge.backend.opened)
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(run(access, Unnamed(("true",), pod="p"), row=OWN))
        return {target.namespace for target, _ in edge.backend.opened[before:]}

    assert await opened_in() == {"default"}
    edge.backend.default_namespace = "team-a"
    assert await opened_in() == {"default"}
    assert edge.backend.asked_namespace == 1
    clock[0] += namespaces.FRESH
    assert await opened_in() == {"team-a"}
    assert edge.backend.asked_namespace == 2


async def test_a_command_in_the_runner_may_have_changed_it(edge, access, clock):
    await run(access, Unnamed(("true",), pod="p"), row=OWN)
    edge.backend.default_namespace = "team-a"
    clock[0] += 0.1
    await run(access, Runner(("true",)), row=OWN)
    await edge.idle()
    clock[0] += 0.1
    said = await run(access, Unnamed(("true",), pod="p"), row=OWN)

    assert said.controls[0]["target"]["namespace"] == "team-a"


class Runner(Request):
    """A command in the runner."""

    def path(self):
        return f"{PLACE}/run?{super().path().partition('?')[2]}"


async def test_a_runner_that_cannot_be_asked_is_named(edge, access):
    edge.backend.default_namespace = HopFailed("incus_stopped", "Instance is not running")

    said = await run(access, Unnamed(("true",), pod="p"), row=OWN)
    answer = await once(edge.url, "GET", f"{PLACE}/namespace", (edge.proof,))

    (control,) = said.controls
    assert (control["type"], control["code"], control["hop"]) == ("refused", "incus_stopped", "incus")
    assert answer.code == 500
    assert "incus: Instance is not running" in json.loads(answer.body)["message"]
    assert edge.backend.opened == []
    edge.backend.default_namespace = "default"
    assert (await once(edge.url, "GET", f"{PLACE}/namespace", (edge.proof,))).code == 200


async def test_the_page_can_ask_for_it(edge):
    edge.backend.default_namespace = "team-a"

    answer = await once(edge.url, "GET", f"{PLACE}/namespace", (edge.proof,))
    unknown = await once(edge.url, "GET", "/gateway/v1/clusters/nope/namespace", (edge.proof,))

    assert json.loads(answer.body) == {"namespace": "team-a"}
    assert unknown.code == 404
    assert (await once(edge.url, "GET", f"{PLACE}/namespace")).code == 401


async def test_a_missing_pod_is_told_with_its_namespace(edge, access):
    edge.backend.default_namespace = "team-a"
    status = failure(404, 'pods "p" not found', details={"name": "p", "kind": "pods"})
    error = HopFailed("pod_not_found", status.message, status)
    edge.backend.kube.objects["/api/v1/namespaces/team-a/pods/p"] = error

    ours = await run(access, Unnamed(("hold",), pod="p"), row=OWN)
    kubernetes = await run(access, Request(("hold",), pod="p", namespace="team-a"), row=V5)

    assert ours.controls[0]["message"] == 'pods "p" not found, in namespace team-a'
    assert kubernetes.refusal.body == status.json(http=True), "as the API server says it"


@pytest.mark.parametrize("bad", ["..", "a/b", "Web", "%2e%2e"])
async def test_names_are_checked_there_too(edge, access, bad):
    said = await run(access, Unnamed(("true",), pod=bad), row=OWN)

    assert edge.backend.opened == []
    assert said.refusal or said.controls[0]["type"] == "refused"
