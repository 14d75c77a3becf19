"""Which cluster a request is about."""

import pytest
from support.exec_client import Access, Request, run
from support.peer import once
from support.served import TOKEN

from gateway.protocol.subprotocols import OWN, V5


@pytest.fixture
def clusters(edge):
    """The gateway has two clusters, and none of them is called `default`."""
    backends = edge.gateway.backends
    backends["prod"] = backends.pop("default")
    backends["test"] = None  # nobody may be sent there
    yield edge
    backends["default"] = backends.pop("prod")
    del backends["test"]


@pytest.mark.parametrize("row", [V5, OWN], ids=["v5", "own"])
async def test_without_a_name_the_first_cluster_is_meant(clusters, row):
    said = await run(Access(clusters.url, TOKEN), Request(("echo", "hi"), pod="p", container="main"), row=row)

    assert said.stdout == b"hi"
    assert clusters.backend.opened[0][0].cluster == "prod"
    if row is OWN:
        assert said.controls[0]["target"]["cluster"] == "prod"


async def test_it_may_be_named_too_and_others_are_unknown(clusters):
    where = Request(("echo", "hi"), pod="p", container="main", prefix="/clusters/prod")
    assert (await run(Access(clusters.url, TOKEN), where)).stdout == b"hi"

    where = Request(("echo", "hi"), pod="p", container="main", prefix="/clusters/nope")
    said = await run(Access(clusters.url, TOKEN), where)
    assert said.refusal.code == 404
    assert b"it has prod, test" in said.refusal.body


async def test_its_namespace_and_its_api_are_found_too(clusters):
    for path in ("/gateway/v1/clusters/default/namespace", "/api/v1/namespaces/default/pods/p"):
        assert (await once(clusters.url, "GET", path, (clusters.proof,))).code == 200
