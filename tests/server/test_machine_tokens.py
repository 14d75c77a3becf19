"""Tokens of machines at the edge: who makes one, what is refused, and what ends with one."""

import asyncio
import json

import pytest
from support.peer import OWN, V5, once, peer
from test_credentials import INFO, Clock, bearer
from test_session_life import command
from test_sessions import control, opened, page

from gateway.access.identity import owner
from gateway.access.scope import Scope
from gateway.access.tokens import Tokens
from gateway.errors import HopFailed, Refused
from gateway.protocol.status import failure

TOKENS = "/gateway/v1/tokens"
HOUR = 3600
SOON = 5.0  # seconds from the end of a token to the end of what it opened


async def create(edge, proof=None, **asked):
    body = json.dumps({"name": "ci", "expiresIn": HOUR} | asked).encode()
    answer = await once(edge.url, "POST", TOKENS, (proof or edge.proof,), body=body)
    return answer.code, json.loads(answer.body)


async def made(edge, **asked):
    code, answer = await create(edge, **asked)
    assert code == 201, answer
    return answer


async def listed(edge):
    rows = json.loads((await once(edge.url, "GET", "/gateway/v1/access", (edge.proof,))).body)["access"]
    return [row for row in rows if row["kind"] == "machine"]


async def test_it_lets_in_and_is_listed_without_its_secret(edge, logged):
    answer = await made(edge, verbs=["exec"], clusters=["default"])
    proof = bearer(answer["token"])
    seen = json.loads((await once(edge.url, "GET", INFO, (proof,))).body)
    assert seen["identity"] == "ci"
    (row,) = await listed(edge)
    assert (row["identity"], row["name"], row["target"]) == (
        "ci",
        answer["name"],
        "cluster default verbs exec",
    )
    assert answer["token"] not in json.dumps(row) + logged()
    assert "token_created" in logged()


async def test_only_who_runs_the_gateway_makes_one(edge):
    token = (await made(edge))["token"]
    for proof in (page(edge, "ann"), bearer(token)):
        code, answer = await create(edge, proof, name="other")
        assert code == 403
        assert "may not make tokens" in answer["message"]


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        ({"name": "a b"}, 400, "name must be letters"), ({"name": owner()}, 400, "is who runs this gateway"),
        ({"expiresIn": 1}, 400, "at least a minute, at most 400 days"), ({"expiresIn": True}, 400, "expiresIn"),
        ({"expiresIn": 1e300}, 400, "expiresIn"), ({"verbs": ["gat"]}, 400, "'gat' is no verb: use get"),
        ({"verbs": "get"}, 400, "verbs must be a list"), ({"clusters": ["prod"]}, 404, "prod"),
        ({"namespaces": ["no-such"]}, 404, "there is no namespace no-such in default"),
        ({"namespaces": ["../pods"]}, 400, "namespace"),
    ],
)  # fmt: skip
async def test_what_does_not_exist_is_refused_by_name(edge, wrong, code, said):
    edge.backend.kube.objects["/api/v1/namespaces/no-such"] = Refused(
        "pod_not_found", "no", failure(404, "no")
    )
    got, answer = await create(edge, **wrong)
    assert (got, said in answer["message"]) == (code, True), answer
    assert await listed(edge) == []


async def test_a_namespace_that_nobody_can_look_for_is_said(edge):
    edge.backend.kube.error = HopFailed("cluster_unreachable", "no answer")
    assert (await made(edge, namespaces=["staging"]))["unchecked"] == ["staging"]


async def test_a_name_is_taken_once(edge):
    first = await made(edge)
    code, answer = await create(edge)
    assert (code, "revoke it first" in answer["message"]) == (409, True)
    assert (await once(edge.url, "DELETE", f"/gateway/v1/access/{first['name']}", (edge.proof,))).code == 204
    assert (await once(edge.url, "GET", INFO, (bearer(first["token"]),))).code == 401
    await made(edge)


@pytest.mark.parametrize(
    ("scope", "let_in"),
    [
        ({"verbs": ["exec"]}, True), ({"namespaces": ["default"]}, True), ({"verbs": ["get", "list"]}, False),
        ({"namespaces": ["kube-system"]}, False),
    ],
)  # fmt: skip
async def test_a_shell_is_within_its_scope_or_refused(edge, scope, let_in):
    """A WebSocket exec is a GET: the verb get opens none."""
    token = (await made(edge, **scope))["token"]
    async with peer(edge.url) as client:
        answer = await client.upgrade(command("cat"), (V5, bearer(token)))
    assert answer.code == (101 if let_in else 403)
    if not let_in:
        assert "this token is for" in json.loads(answer.body)["message"]


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_what_it_opened_ends_with_it(edge, end):
    clock = Clock()
    edge.gateway.access.tokens = Tokens("o" * 32, clock)
    tokens = edge.gateway.access.tokens
    token, grant = tokens.machine("ci", Scope(), HOUR)
    async with opened(edge, "cat", proof=bearer(token), protocol=OWN) as client:
        if end == "revoked":
            tokens.revoke_named(grant.name)
        else:
            clock.now += HOUR + 1
        async with asyncio.timeout(SOON):
            said = await control(client, "end")
    assert said["code"] == "access_revoked"
