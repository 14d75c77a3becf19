"""As many sessions as there may be, whatever comes at once; and a refusal while file descriptors are left."""

import asyncio
import json
import os
import resource
from contextlib import AsyncExitStack, suppress

import pytest
from support.exec_client import Request
from support.peer import CLOSE, OWN, UPGRADE, V5, peer
from test_session_life import leave, status, until
from test_sessions import opened, page

from gateway import fd_limits
from gateway.access.identity import Identity, owner
from gateway.errors import Refused
from gateway.protocol.target import Target
from gateway.server import accept
from gateway.sessions.quota import Quota
from gateway.settings.config import Limits

ANN, BOB = Identity("ann", "page"), Identity("bob", "page")
WEB, API = Target("default", "ns", "web-0"), Target("default", "ns", "api-0", "main")
V4 = ("Sec-WebSocket-Protocol", "v4.base64.channel.k8s.io")


def path(*argv, pod="web-0"):
    return Request(argv, pod=pod, streams=("stdin", "stdout")).path()


def refused(quota, who, where):
    with pytest.raises(Refused) as told:
        quota.reserve(who, where)
    assert told.value.code == "too_many_sessions"
    return told.value.message


def test_each_limit_counts_its_own():
    quota = Quota(Limits(sessions=4, sessions_per_identity=3, sessions_per_target=2))
    slots = [quota.reserve(ANN, WEB), quota.reserve(BOB, WEB)]
    assert refused(quota, ANN, WEB) == "pod ns/web-0 has 2 sessions, and 2 is the limit: end one first"
    slots += [quota.reserve(ANN, API), quota.reserve(ANN, Target("default"))]
    assert refused(quota, ANN, Target("other")).startswith("ann has 3 sessions")
    assert refused(quota, BOB, Target("other")).startswith("this gateway has 4 sessions")
    assert quota.sessions == 4
    slots[0].free()
    slots.append(quota.reserve(ANN, WEB))
    for slot in slots * 2:
        slot.free()
    assert quota.sessions == 0
    assert not quota._taken, "nothing is kept of who was here"


def test_parts_of_a_shared_slot_count_once():
    quota = Quota(Limits(sessions_per_identity=2))
    parts = [quota.share(ANN, WEB) for _ in range(200)]
    other = quota.share(ANN, API)
    assert quota.sessions == 2
    assert refused(quota, ANN, Target("default", "ns", "web-1")).startswith("ann has 2 sessions")
    bobs = quota.share(BOB, WEB)
    assert quota.sessions == 3
    for part in [*parts[1:], *parts[1:], other, bobs]:
        part.free()
    assert quota.sessions == 1
    parts[0].free()
    assert quota.sessions == 0
    assert not quota._taken
    assert not quota._shared, "nothing is kept of who was here"


def test_a_container_has_no_room_of_its_own():
    quota = Quota(Limits(sessions_per_target=1))
    quota.reserve(ANN, API)
    for container in (None, "main", "side"):
        assert "pod ns/api-0" in refused(quota, BOB, Target("default", "ns", "api-0", container))
    quota.reserve(BOB, Target("other", "ns", "api-0"))


def test_0_is_any_number():
    quota = Quota(Limits(sessions=0, sessions_per_identity=0))
    for _ in range(1000):
        quota.reserve(ANN, WEB)


def test_the_last_places_are_for_the_operator():
    quota = Quota(Limits(sessions=20, sessions_reserved=2, sessions_per_identity=0))
    places = [quota.reserve(ANN, WEB) for _ in range(18)]
    said = "this gateway has 18 sessions, and 18 is the limit (2 more are for the operator): end one first"
    assert refused(quota, ANN, WEB) == said
    assert refused(quota, Identity(owner(), "page"), API) == said, "a link of the operator's is a page, too"
    places += [quota.reserve(Identity(owner(), proof), API) for proof in ("token", "uid")]
    assert refused(quota, Identity(owner(), "token"), WEB).startswith(
        "this gateway has 20 sessions, and 20 is"
    )
    assert refused(quota, Identity("uid-9", "uid"), WEB).startswith("this gateway has 20 sessions, and 18 is")
    places[0].free()
    refused(quota, BOB, WEB)


def test_nobody_is_locked_out_where_there_are_few_places():
    quota = Quota(Limits(sessions=4))
    for _ in range(4):
        quota.reserve(ANN, WEB)
    refused(quota, Identity(owner(), "uid"), WEB)


def test_by_default_an_identity_has_50():
    quota = Quota(Limits())
    for _ in range(50):
        quota.reserve(ANN, WEB)
    assert refused(quota, ANN, API) == "ann has 50 sessions, and 50 is the limit: end one first"
    quota.reserve(BOB, WEB)


def test_one_that_is_there_already_counts_and_is_not_asked():
    quota = Quota(Limits(sessions=1))
    quota.take(ANN, WEB)
    quota.take(ANN, WEB).free()
    refused(quota, BOB, API)


@pytest.mark.parametrize("protocol", [V5, V4])
async def test_of_200_at_once_exactly_5_get_in(edge_with, protocol):
    edge = await edge_with(Limits(sessions_per_identity=5))

    async def one(stack):
        client = await stack.enter_async_context(peer(edge.url))
        return await client.upgrade(path("cat"), (protocol, edge.proof))

    async with AsyncExitStack() as stack:
        answers = await asyncio.gather(*(one(stack) for _ in range(200)))
        codes = [answer.code for answer in answers]
        assert (codes.count(101), codes.count(429)) == (5, 195)
        await edge.backend.until(running=5)
        for answer in answers:
            if answer.code == 429:
                assert answer.status["reason"] == "TooManyRequests"
                said = f"{owner()} has 5 sessions, and 5 is the limit: end one first"
                assert answer.status["message"] == said
    await edge.idle()
    assert edge.gateway.registry.quota.sessions == 0
    assert edge.metric('dap_refused_total{code="too_many_sessions"}') == 195


async def test_our_own_clients_hear_it_in_band(edge_with):
    edge = await edge_with(Limits(sessions=1))
    async with opened(edge, "cat"), peer(edge.url) as client:
        assert (await client.upgrade(path("cat"), (OWN, edge.proof))).code == 101
        heard = await client.rest()

    said = json.loads(heard[0][1][1:])
    assert (said["type"], said["code"], said["hop"]) == ("refused", "too_many_sessions", "gateway")
    assert status(heard)["code"] == 429


async def test_a_slot_is_free_when_its_session_has_really_ended(edge_with):
    """Not when its client has gone: what runs in the pod may take a while to end."""
    edge = await edge_with(Limits(sessions=1))
    gate, exec_ = asyncio.Event(), edge.backend.exec

    def slow(target, command):
        stack = AsyncExitStack()
        stack.push_async_callback(gate.wait)

        class Slow:
            async def __aenter__(self):
                return await stack.enter_async_context(exec_(target, command))

            async def __aexit__(self, *error):
                return await stack.__aexit__(*error)

        return Slow()

    edge.backend.exec = slow
    async with opened(edge, "cat") as client:
        await leave(client, "reset")
    await until(lambda: edge.backend.running == 0)
    async with peer(edge.url) as client:
        assert (await client.upgrade(path("cat"), (V5, edge.proof))).code == 429
    gate.set()
    await until(lambda: edge.gateway.registry.quota.sessions == 0)
    async with opened(edge, "cat"):
        assert edge.gateway.registry.quota.sessions == 1
    await edge.idle()


@pytest.mark.parametrize("argv", [("refuse",), ("defect",), ("late",), ("true",)])
async def test_however_a_session_ends_its_slot_is_free(edge_with, argv):
    edge = await edge_with(Limits(sessions=1))
    for _ in range(3):
        async with peer(edge.url) as client:
            assert (await client.upgrade(path(*argv), (V5, edge.proof))).code == 101
            assert (await client.rest())[-1] == (CLOSE, b"\x03\xe8")
        await edge.idle()
        assert edge.gateway.registry.quota.sessions == 0


async def test_a_handshake_that_fails_half_way_takes_no_slot(edge_with):
    edge = await edge_with(Limits(sessions=1))
    wrong = tuple((name, "x" if name == "Sec-WebSocket-Key" else value) for name, value in UPGRADE)
    for headers in (wrong, tuple(one for one in UPGRADE if one[0] != "Sec-WebSocket-Version")):
        async with peer(edge.url) as client:
            answer = await client.ask("GET", path("cat"), (*headers, V5, edge.proof))
            assert 400 <= answer.code < 500
    for _ in range(20):
        async with peer(edge.url) as client:
            client.request("GET", path("cat"), (*UPGRADE, V5, edge.proof))
            client.reset()
    await until(lambda: edge.gateway.registry.quota.sessions == 0)
    async with opened(edge, "cat"):
        pass


async def test_identities_have_slots_of_their_own(edge_with):
    edge = await edge_with(Limits(sessions_per_identity=1))
    ann, bob = page(edge, "ann"), page(edge, "bob")
    async with opened(edge, "cat", proof=ann), opened(edge, "cat", proof=bob), peer(edge.url) as client:
        assert (await client.upgrade(path("cat"), (V5, page(edge, "ann")))).code == 429


# file descriptors


async def test_descriptors_that_run_out_refuse_the_new_and_leave_the_old(edge_with):
    """The limit as it would be if all but a few descriptors were in use. Later there are enough again."""
    edge = await edge_with()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with opened(edge, "cat") as old:
        resource.setrlimit(resource.RLIMIT_NOFILE, (fd_limits.used() + fd_limits.RESERVE + 8, hard))
        try:
            async with AsyncExitStack() as stack:
                codes = [0]
                while codes[-1] != 503:
                    client = await stack.enter_async_context(peer(edge.url))
                    codes.append((await client.upgrade(path("cat"), (V5, edge.proof))).code)
                assert set(codes[1:-1]) == {101}
                last = await stack.enter_async_context(peer(edge.url))
                assert (await last.upgrade(path("cat"), (OWN, edge.proof))).code == 101
                assert json.loads((await last.rest())[0][1][1:])["code"] == "out_of_files"
                old.say(b"\x00still here")
                assert (await old.hear())[1] == b"\x01still here"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await edge.backend.until(running=1)
        async with opened(edge, "cat"):
            pass


async def test_the_last_descriptors_are_for_those_who_are_in(edge_with, monkeypatch):
    """Whoever comes then is dropped, whatever it wants; and nothing of it is a defect."""
    monkeypatch.setattr(accept, "FRESH", 0.0)
    edge = await edge_with()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with opened(edge, "cat") as old:
        resource.setrlimit(resource.RLIMIT_NOFILE, (fd_limits.used() + accept.RESERVE + fd_limits.EACH, hard))
        try:
            async with peer(edge.url) as client:
                heard = await client.reader.read()
                assert heard.startswith(b"HTTP/1.1 503 ")
                assert json.loads(heard.partition(b"\r\n\r\n")[2])["code"] == 503
            old.say(b"\x00still here")
            assert (await old.hear())[1] == b"\x01still here"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        async with opened(edge, "cat"):
            pass


def test_no_descriptor_to_look_with_is_no_room(monkeypatch):
    def none(_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "listdir", none)
    assert not fd_limits.room(0)


def test_the_soft_limit_becomes_the_hard_one():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        with suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        fd_limits.raise_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert hard == before[1]
        assert soft == hard or hard == resource.RLIM_INFINITY
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_room_counts_what_sessions_may_open_yet():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert fd_limits.room(1)
    assert not fd_limits.room(limit // fd_limits.EACH)
