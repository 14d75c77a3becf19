"""In whose name the real cluster is asked: its own RBAC decides, for requests and for shells."""

import json
from dataclasses import replace

import pytest
from support.exec_client import Access, Request, run
from support.peer import once
from support.served import config_for, served

from gateway.access.identity import Identity
from gateway.protocol.subprotocols import OWN, V5

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(params=["relay", "plain"])
async def in_person(request, cluster, tmp_path):
    """(URL, token of the gateway's user, token of somebody of the group viewers, mode) of a gateway that impersonates."""
    asked = replace(cluster, mode=request.param, impersonate="user")
    async with served(config_for(asked), tmp_path) as running:
        tokens = running.gateway.access.tokens
        viewer, _ = tokens.trade(tokens.ticket(Identity("viewer", "page", ("viewers",))))
        yield running.url, running.token, viewer, request.param


async def test_the_clusters_policy_decides_over_what_a_person_does(in_person):
    url, operator, viewer, _ = in_person
    for row in (V5, OWN):
        ran = await run(Access(url, operator), Request(("id",), pod="bash-0"), row=row)
        assert ran.status.code == 0, ran.status
        refused = await run(Access(url, viewer), Request(("id",), pod="bash-0"), row=row)
        said = refused.refusal.body.decode() if refused.refusal else refused.status.message
        assert 'User "viewer" cannot create resource "pods/exec"' in said.replace('\\"', '"')


async def test_what_a_person_may_read_is_read(in_person):
    url, _, viewer, mode = in_person
    proof = ("Authorization", f"Bearer {viewer}")
    answer = await once(url, "GET", f"{PODS}/bash-0", (proof,))
    assert (answer.code, json.loads(answer.body)["metadata"]["name"]) == (200, "bash-0")
    if mode == "relay":
        removed = await once(url, "DELETE", f"{PODS}/bash-0", (proof,))
        assert removed.code == 403
        assert 'User "viewer" cannot delete resource "pods"' in json.loads(removed.body)["message"]


async def test_the_account_of_the_runner_may_impersonate(in_person):
    url, operator, _, _ = in_person
    answer = await once(url, "GET", "/readyz", (("Authorization", f"Bearer {operator}"),))
    assert answer.code == 200, answer.body
