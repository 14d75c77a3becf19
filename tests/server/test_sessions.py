"""Who sees which sessions, who may end them, and what their users hear of it."""

import asyncio
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import quote

import pytest
from support.exec_client import Request
from support.peer import OWN, V5, once, peer
from test_session_life import status

from gateway.access.identity import Identity, owner
from gateway.server.routes.sessions import REASON
from gateway.settings.config import Limits

SESSIONS = "/gateway/v1/sessions"


def path(*argv, streams=("stdin", "stdout")):
    return Request(argv, pod="web-0", streams=streams).path()


@asynccontextmanager
async def opened(edge, *argv, streams=("stdin", "stdout"), proof=None, protocol=V5):
    """A client whose session runs."""
    async with peer(edge.url) as client:
        before = edge.backend.running
        assert (
            await client.upgrade(path(*argv, streams=streams), (protocol, proof or edge.proof))
        ).code == 101
        await client.hear()
        await edge.backend.until(running=before + 1)
        yield client


async def control(client, kind):
    """The next one of this type."""
    async with asyncio.timeout(5):
        while True:
            _, payload = await client.hear()
            if payload[:1] == b"\5" and (body := json.loads(payload[1:]))["type"] == kind:
                return body


async def listed(edge, proof=None, where=None):
    answer = await once(where or edge.url, "GET", SESSIONS, (proof,) if proof else (edge.proof,))
    assert answer.code == 200
    return json.loads(answer.body)["sessions"]


async def kill(edge, name, query="", proof=None):
    return await once(edge.url, "DELETE", f"{SESSIONS}/{name}{query}", (proof or edge.proof,))


def page(edge, name):
    """The proof of a page that belongs to somebody."""
    tokens = edge.gateway.access.tokens
    token, _ = tokens.trade(tokens.ticket(Identity(name, "uid")))
    return ("Authorization", f"Bearer {token}")


def name_of(edge):
    (session,) = edge.gateway.registry.sessions
    return session.name


# the list


async def test_a_session_is_listed_as_long_as_it_lives(edge):
    assert await listed(edge) == []
    async with opened(edge, "cat") as client:
        client.say(b"\x0012345")
        assert (await client.hear())[1] == b"\x0112345"
        (row,) = await listed(edge)
        client.say(b"\xff\x00")
        await client.rest()
    await edge.idle()

    assert abs(row.pop("opened") - time.time()) < 60
    assert 0 <= row.pop("idle") < 60
    assert row.pop("name")
    assert row == {
        "identity": owner(), "cluster": "default", "namespace": "default", "pod": "web-0", "container": "main",
        "command": ["cat"], "kind": None, "way": "kubectl", "tty": False, "attached": True, "resumable": False, "in": 5, "out": 5,
    }  # fmt: skip
    assert await listed(edge) == []


async def test_when_a_session_was_opened_stays_the_same_while_the_machine_sleeps(edge, monkeypatch):
    """The seconds since then, by a clock that stands still during a sleep, would move the time."""
    async with opened(edge, "cat"):
        (before,) = await listed(edge)
        wall = time.time
        with monkeypatch.context() as asleep:
            asleep.setattr(time, "time", lambda: wall() + 3600)
            (after,) = await listed(edge)

    assert after["opened"] == before["opened"]


async def test_a_long_command_is_listed_by_its_beginning(edge):
    async with opened(edge, "cat", "x" * 100_000):
        (row,) = await listed(edge)

    assert row["command"] == ["cat", "…"]


async def test_the_oldest_is_first_and_a_command_in_the_runner_has_no_pod(edge):
    async with AsyncExitStack() as stack:
        for number in range(3):
            await stack.enter_async_context(opened(edge, "cat", str(number)))
        client = await stack.enter_async_context(peer(edge.url))
        run = "/gateway/v1/clusters/default/run?command=hold&stdout=1&tty=1"
        assert (await client.upgrade(run, (OWN, edge.proof))).code == 101
        await edge.backend.until(running=4)
        rows = await listed(edge)

    assert [row["command"] for row in rows] == [["cat", "0"], ["cat", "1"], ["cat", "2"], ["hold"]]
    last = rows[-1]
    assert (last["namespace"], last["pod"], last["container"], last["tty"]) == (None, None, None, True)


async def test_a_page_sees_its_own_and_the_operator_sees_all(edge):
    ann, bob = page(edge, "ann"), page(edge, "bob")
    async with opened(edge, "cat", proof=ann), opened(edge, "cat", proof=bob), opened(edge, "cat"):
        whose = {
            who: [row["identity"] for row in await listed(edge, proof)]
            for who, proof in (("ann", ann), ("bob", bob), (owner(), edge.proof))
        }
        local = [row["identity"] for row in await listed(edge, where=edge.socket)]

    assert whose == {"ann": ["ann"], "bob": ["bob"], owner(): ["ann", "bob", owner()]}
    assert local == ["ann", "bob", owner()]


# input


async def test_our_own_terminal_is_told_what_has_been_taken(edge):
    async with opened(edge, "cat", streams=("stdin", "stdout", "tty"), protocol=OWN) as client:
        client.say(b"\0" + bytes(100))
        assert await control(client, "received") == {"type": "received", "offset": 100}
        for _ in range(20):
            client.say(b"\0" + bytes(32768))
        while (await control(client, "received"))["offset"] < 100 + 20 * 32768:
            pass


async def test_terminals_have_a_window(edge):
    async def window(*streams):
        async with peer(edge.url) as client:
            await client.upgrade(path("cat", streams=streams), (OWN, edge.proof))
            return (await control(client, "hello"))["window"]

    assert await window("stdin", "stdout", "tty") == edge.gateway.config.limits.window
    assert await window("stdin", "stdout") is None
    assert await window("stdout", "tty") is None


# the end


@pytest.mark.parametrize("protocol", [V5, OWN])
async def test_the_user_hears_who_ended_the_session_and_why(edge, protocol):
    async with opened(edge, "cat", protocol=protocol) as client:
        answer = await kill(edge, name_of(edge), "?reason=" + quote("disk maintenance, back at 5"))
        assert (answer.code, answer.body) == (204, b"")
        assert not edge.gateway.registry.sessions
        heard = await client.rest()

    said = status(heard)
    assert (said["code"], said["reason"]) == (403, "Forbidden")
    assert said["message"] == f"gateway: ended by {owner()}: disk maintenance, back at 5 (killed)"
    if protocol is OWN:
        end = json.loads(heard[-3][1][1:])
        assert (end["type"], end["code"], end["hop"]) == ("end", "killed", "gateway")
        assert end["message"] == f"ended by {owner()}: disk maintenance, back at 5"
        assert end["exitCode"] is None
    assert edge.outcomes() == {"killed": 1}


async def test_a_reason_may_be_left_out(edge):
    async with opened(edge, "cat") as client:
        assert (await kill(edge, name_of(edge))).code == 204
        assert status(await client.rest())["message"] == f"gateway: ended by {owner()} (killed)"


async def test_a_reason_is_one_line_that_no_terminal_obeys(edge):
    async with opened(edge, "cat") as client:
        assert (await kill(edge, name_of(edge), "?reason=%1b%5b2J%0d%0aow%e2%80%aen")).code == 204
        message = status(await client.rest())["message"]

    assert message == rf"gateway: ended by {owner()}: \x1b[2J\r\now\u202en (killed)"


@pytest.mark.parametrize("reason", ["x" * (REASON + 1), "%ff", "%00" * 60])
async def test_a_reason_that_cannot_be_is_refused_and_nobody_ends(edge, reason):
    async with opened(edge, "cat") as client:
        assert (await kill(edge, name_of(edge), f"?reason={reason}")).status["code"] == 400
        client.say(b"\x00still here")
        assert (await client.hear())[1] == b"\x01still here"


async def test_one_session_ends_and_the_others_stay(edge):
    async with opened(edge, "cat", "1") as first, opened(edge, "cat", "2") as second:
        name = next(row["name"] for row in await listed(edge) if row["command"] == ["cat", "2"])
        assert (await kill(edge, name)).code == 204
        assert status(await second.rest())["code"] == 403
        first.say(b"\x00still here")
        assert (await first.hear())[1] == b"\x01still here"


async def test_what_is_somebody_elses_is_as_unknown_as_what_never_was(edge):
    """The name of another's session may not be found out by asking."""
    ann, bob = page(edge, "ann"), page(edge, "bob")
    async with opened(edge, "cat", proof=ann):
        foreign = await kill(edge, name_of(edge), proof=bob)
        unknown = await kill(edge, "0" * 16, proof=bob)
        assert (foreign.code, foreign.status) == (unknown.code, unknown.status)
        assert foreign.code == 404
        assert edge.backend.running == 1
        assert (await kill(edge, name_of(edge), proof=ann)).code == 204
    assert (await kill(edge, "..%2f..%2fetc")).code == 404


async def test_the_operator_ends_anybodys(edge):
    async with opened(edge, "cat", proof=page(edge, "ann")) as client:
        assert (await once(edge.socket, "DELETE", f"{SESSIONS}/{name_of(edge)}?reason=x")).code == 204
        assert ": x (killed)" in status(await client.rest())["message"]


async def test_one_that_has_not_started_is_ended_too(edge):
    async with opened(edge, "never") as client:
        assert (await kill(edge, name_of(edge))).code == 204
        assert status(await client.rest())["code"] == 403


async def test_two_who_end_it_at_once(edge):
    async with opened(edge, "cat") as client:
        name = name_of(edge)
        answers = await asyncio.gather(*(kill(edge, name, f"?reason={one}") for one in "ab"))
        status(await client.rest())
    assert {answer.code for answer in answers} <= {204, 404}
    assert 204 in {answer.code for answer in answers}
    assert edge.outcomes() == {"killed": 1}


async def test_the_log_has_who_and_why(logged, edge):
    async with opened(edge, "cat") as client:
        await kill(edge, name_of(edge), "?reason=too%20long")
        await client.rest()
    (said,) = [one for one in map(json.loads, logged().splitlines()) if one["event"] == "session_killed"]

    assert (said["by"], said["proof"], said["reason"]) == (owner(), "token", "too long")
    assert said["session"]


# what ends by itself


async def test_an_idle_terminal_is_warned_and_ends(edge_with):
    edge = await edge_with(Limits(idle=0.4))
    async with opened(edge, "cat", streams=("stdin", "stdout", "tty"), protocol=OWN) as client:
        heard = await client.rest()

    controls = [json.loads(payload[1:]) for _, payload in heard if payload[:1] == b"\x05"]
    assert [one["type"] for one in controls] == ["started", "warning", "end"]
    assert controls[1] == {"type": "warning", "code": "idle", "seconds": 0}
    assert controls[2]["code"] == "idle_timeout"
    assert status(heard)["code"] == 504


@pytest.mark.parametrize("word", [b"\x00x", b'\x05{"type":"stay"}'], ids=["key", "stay"])
async def test_a_key_or_a_word_takes_the_warning_back(edge_with, word):
    edge = await edge_with(Limits(idle=2.0))
    said = []
    async with opened(edge, "cat", streams=("stdin", "stdout", "tty"), protocol=OWN) as client:
        while len(said) < 2:
            _, payload = await client.hear()
            if payload[:1] == b"\x05" and b"warning" in payload:
                said.append(json.loads(payload[1:])["code"])
                client.say(word)

    assert said == ["idle", None]


async def test_pings_are_no_activity_and_a_kubernetes_client_hears_only_the_end(edge_with):
    edge = await edge_with(Limits(idle=0.4, ping=0.05))
    async with opened(edge, "cat", streams=("stdin", "stdout", "tty")) as client:

        async def ping():
            while True:
                client.say(b"?", 9)
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            pinging = tasks.create_task(ping())
            heard = await client.rest()
            pinging.cancel()

    assert status(heard)["message"].endswith("(idle_timeout)")
    assert not [payload for opcode, payload in heard if opcode == 2 and payload[:1] != b"\x03"]
