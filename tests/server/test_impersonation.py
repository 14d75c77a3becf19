"""In whose name the cluster is asked, where its setting says: each person's own, but for the gateway's user."""

import json

import pytest
from support.peer import OWN, UPGRADE, V5, once, peer
from support.upstream import upstream_at
from test_credentials import bearer, trade
from test_machine_tokens import create
from test_session_life import command
from test_sessions import page

from gateway.access.identity import owner
from gateway.access.impersonation import Impersonation
from gateway.backends.contract import HopCheck
from gateway.errors import HopFailed
from gateway.protocol.actor import Actor
from gateway.protocol.outcome import Hop
from gateway.protocol.status import failure
from gateway.server.health_cache import HealthCache

POD = "/api/v1/namespaces/default/pods/web-0"


@pytest.fixture
def in_person(edge):
    """The edge, whose cluster is asked in each person's name."""
    edge.gateway.impersonation.clusters = Impersonation(["default"]).clusters
    return edge


@pytest.fixture
async def upstream(in_person, tmp_path):
    async with upstream_at(tmp_path / "api.sock") as (one, api):
        in_person.backend.kube = api
        yield one


def lines(head):
    return [line for line in head.lower().split(b"\r\n") if line.startswith(b"impersonate")]


async def test_a_persons_requests_carry_their_name(in_person, upstream):
    await once(in_person.url, "GET", POD, (page(in_person, "ann"),))

    assert lines(upstream.heads[0]) == [b"impersonate-user: ann"]


async def test_a_machines_requests_carry_its_name(in_person, upstream):
    _, made = await create(in_person, name="ci")
    await once(in_person.url, "DELETE", POD, (bearer(made["token"]),))

    assert lines(upstream.heads[-1]) == [b"impersonate-user: ci"]


async def test_an_upgrade_carries_it_too(in_person, upstream):
    spdy = (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"))
    await once(in_person.url, "POST", f"{POD}/portforward", (page(in_person, "ann"), *spdy))

    assert lines(upstream.heads[0]) == [b"impersonate-user: ann"]


async def test_the_gateways_user_asks_as_the_runners_account(in_person, upstream):
    for proof in (in_person.proof, page(in_person, owner())):
        await once(in_person.url, "GET", POD, (proof,))

    assert [lines(head) for head in upstream.heads] == [[], []]


@pytest.mark.parametrize("row", [V5, OWN])
async def test_a_shell_is_opened_in_their_name(in_person, row):
    async with peer(in_person.url) as client:
        await client.upgrade(command("cat"), (row, page(in_person, "ann")))
        await client.hear()
        (session,) = in_person.gateway.registry.sessions
        assert session.command.actor == Actor("ann")
    assert set(in_person.backend.kube.actors) == {Actor("ann")}  # what is read for it, too


async def test_by_default_nobody_is_impersonated(edge):
    async with peer(edge.url) as client:
        await client.upgrade(command("cat"), (V5, page(edge, "ann")))
        await client.hear()
        (session,) = edge.gateway.registry.sessions
        assert session.command.actor is None


@pytest.mark.parametrize(
    "name", ["Impersonate-User", "impersonate-group", "Impersonate-Extra-x", "X-Remote-User"]
)
async def test_a_client_cannot_say_who_asks(in_person, upstream, name):
    answer = await once(in_person.url, "GET", POD, (page(in_person, "ann"), (name, "root")))

    assert (answer.code, upstream.heads) == (403, [])
    assert f"does not pass {name} on" in json.loads(answer.body)["message"]


# what the doctor finds


class Checked:
    """A backend whose hops are well."""

    def __init__(self, kube):
        self.kube = kube

    async def check(self):
        return [HopCheck(Hop.SSH, 1.0), HopCheck(Hop.CLUSTER, 1.0)]


@pytest.mark.parametrize(("may", "code"), [(True, None), (None, None), (False, "forbidden")])
async def test_an_account_that_may_not_impersonate_is_named(edge, may, code):
    edge.backend.kube.allowed = may
    _, hops = await HealthCache({"default"}).get("default", Checked(edge.backend.kube))

    assert [hop.outcome.code if hop.outcome else None for hop in hops] == [None, code]
    if code:
        assert "bind it to a role with the verb impersonate" in hops[-1].outcome.message
        assert edge.backend.kube.asked == ["impersonate users /"]


async def test_where_nobody_is_impersonated_nothing_is_asked(edge):
    await HealthCache().get("default", Checked(edge.backend.kube))

    assert edge.backend.kube.asked == []


# groups


async def test_groups_of_a_link_and_of_a_token_go_on(in_person, upstream):
    body = json.dumps({"for": "ann", "groups": ["dev", "oidc:ops"]}).encode()
    ticket = json.loads(
        (await once(in_person.url, "POST", "/gateway/v1/tickets", (in_person.proof,), body=body)).body
    )["ticket"]
    ann = bearer(json.loads((await trade(in_person, ticket)).body)["token"])
    _, made = await create(in_person, groups=["ci"])
    for proof in (ann, bearer(made["token"])):
        await once(in_person.url, "GET", POD, (proof,))

    assert [lines(head)[1:] for head in upstream.heads] == [
        [b"impersonate-group: dev", b"impersonate-group: oidc:ops"],
        [b"impersonate-group: ci"],
    ]


@pytest.mark.parametrize(
    "groups", ["dev", ["system:masters"], [""], ["a b"], [1], ["a\r\nx"], ["g"] * 33, None]
)
async def test_what_is_no_group_or_the_clusters_own_is_refused(edge, groups):
    for path, more in (("tickets", {"for": "ann"}), ("tokens", {"name": "ci", "expiresIn": 3600})):
        body = json.dumps({"groups": groups} | more).encode()
        answer = await once(edge.url, "POST", f"/gateway/v1/{path}", (edge.proof,), body=body)
        assert (answer.code, "group" in json.loads(answer.body)["message"]) == (400, True)


async def test_a_pod_is_read_in_the_persons_name_also_where_a_session_has_it_watched(in_person):
    """The person may perhaps not read it."""
    in_person.backend.fated.watched = {
        "metadata": {"name": "web-0"},
        "spec": {"containers": [{"name": "main"}]},
    }
    in_person.backend.kube.objects[POD] = HopFailed("forbidden", "not for ann", failure(403, "not for ann"))

    answer = await once(in_person.url, "GET", command("cat"), (*UPGRADE, V5, page(in_person, "ann")))

    assert (answer.code, b"not for ann" in answer.body) == (403, True)
