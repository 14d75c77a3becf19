"""Loss-free resume through the gateway's edge, over the demo's relay: byte for byte, each way."""

import asyncio
import hashlib
import json
import random
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from support.claims import each_holds
from support.cuttable import cuttable
from support.exec_client import Access
from support.peer import ask
from support.repeated import FEW, again, seeds
from support.resuming import Resuming, shell
from support.served import cluster_at, config_for, served
from support.waiting import until

from gateway.access.identity import Identity, owner
from gateway.backends.resume import RecoveredSession
from gateway.errors import Refused
from gateway.protocol.outcome import Outcome
from gateway.settings.config import Limits

pytestmark = pytest.mark.timeout(120)
LINES = "i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); done"
RAW = "stty -echo -onlcr -icanon; echo ready; "


def lines(count: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(count))


def at_once(count: int) -> str:
    """A program that says the same lines without a pause, and in few writes, as seq does through a pipe: much cheaper than
    `LINES`.
    """
    return f"seq -f 'line %.0f' 0 {count - 1} | cat"


@asynccontextmanager
async def gateway_on(demo, directory, mode="relay", **limits):
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode=mode)
    async with served(config_for(cluster, limits=Limits(**limits)), directory) as running:
        yield running


@pytest.fixture
async def gateway(demo, one_relay, tmp_path):  # noqa: ARG001  # what it sets is in force meanwhile
    async with gateway_on(demo, tmp_path) as running:
        yield running


@pytest.fixture
def client(gateway):
    return Resuming(Access(gateway.url, gateway.token))


def with_a_client(gateway):
    """Returns what calls a claim with a client of its own."""
    return lambda claim, *more: claim(gateway, Resuming(Access(gateway.url, gateway.token)), *more)


async def idle(gateway, seconds=20.0):
    async with asyncio.timeout(seconds):
        while gateway.gateway.registry.sessions:
            await asyncio.wait(list(gateway.gateway.registry.sessions.values()))


async def a_terminal_can_be_resumed(gateway, client):
    await client.open(shell("cat", pod=""))
    (hello,) = [one for one in client.controls if one["type"] == "hello"]
    assert hello["resume"] == {
        "secret": client.secret, "grace": 120, "offset": 0, "received": 0, "window": 256 << 10, "modes": "",
    }  # fmt: skip
    await client.type(b"one\n")
    await client.until(lambda: b"one\r\none\r\n" in client.output)
    first = client.secret
    await client.cut()
    await client.attach()
    assert client.secret != first
    await client.type(b"two\n")
    await client.until(lambda: client.output == b"one\r\none\r\ntwo\r\ntwo\r\n")
    await client.type(b"\x04")
    await client.until(lambda: client.over)
    await client.gone()

    assert client.end["exitCode"] == 0
    assert client.closed[0] == 1000
    assert [one["type"] for one in client.controls if one["type"] not in ("opening", "received")] == [
        "hello", "started", "hello", "started", "end",
    ]  # fmt: skip
    await idle(gateway)


@pytest.mark.parametrize("seed", seeds(3))
async def test_nothing_is_lost_or_doubled_however_often_the_client_is_lost(gateway, client, seed):
    chance = random.Random(seed)
    count, every = 40_000, "".join(chance.choices("abcdefgh\n", k=150_000)).encode()
    script = RAW + f"({LINES % count}); head -c {len(every)} | sha256sum"
    await client.open(shell("sh", "-c", script, pod=""))
    await client.until(lambda: b"ready" in client.output)

    async def nemesis():
        for _ in range(25):
            await asyncio.sleep(chance.uniform(0.0, 0.15))
            if client.over:
                return  # whose end was told and whose close was cut would not come back
            await client.cut() if chance.random() < 0.7 else await client.close(1001)

    async def typist():
        at = 0
        while at < len(every):
            part = every[at : at + chance.randrange(1, 4000)]
            await client.type(part)
            at += len(part)
            await asyncio.sleep(chance.uniform(0, 0.03))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(nemesis())
        tasks.create_task(typist())
        tasks.create_task(client.keep_on(pauses=(0.0, 0.05)))

    digest = hashlib.sha256(every).hexdigest().encode()
    said = bytes(client.output).replace(b"\r\n", b"\n").replace(b"ready\n", b"", 1)
    assert said == lines(count) + digest + b"  -\n"
    assert client.gaps == []
    assert client.end["exitCode"] == 0
    assert client.attaches > 5
    await idle(gateway)


async def a_client_that_closes_it_ends_it(gateway, client):
    await client.open(shell("cat", pod=""))
    await client.close(1000)
    await idle(gateway)
    await client.attach()

    assert client.refused["code"] == "session_unknown"
    assert client.status["code"] == 404
    assert client.closed is None or client.closed[0] == 1000


async def test_one_that_nobody_comes_back_to_ends_after_the_grace_time(demo, tmp_path):
    async with gateway_on(demo, tmp_path, grace=0.7) as gateway:
        client = await Resuming(Access(gateway.url, gateway.token)).open(shell("cat", pod=""))
        await client.until(lambda: client.seen == 0 and client.controls[-1]["type"] == "started")
        await asyncio.sleep(0.1)
        await client.cut()
        (session,) = gateway.gateway.registry.sessions
        await until(lambda: not session.attached)
        await idle(gateway)
        assert session.outcome.code == "client_lost"
        await client.attach()
        assert client.refused["code"] == "session_unknown"


async def one_whose_hello_nobody_read_is_not_waited_for(gateway, client):
    """Without its secret nobody could come back to it."""
    client.deaf = True
    await client.open(shell("cat", pod=""))
    await client.cut()
    await idle(gateway)


async def that_one_was_taken_over_is_an_event(gateway, client):
    """A client that comes back with its own secret takes it from nobody, once the connection before is gone."""

    async def events(who, **how):
        with capture_logs() as logged:
            await who.attach(**how)
        return [line for line in logged if line["event"] in ("session_attached", "session_taken_over")]

    await client.open(shell("cat", pod=""))
    await client.type(b"x\n")
    await client.until(lambda: client.output == b"x\r\nx\r\n")
    (session,) = gateway.gateway.registry.sessions
    await client.cut()
    await until(lambda: not session.attached)
    (line,) = await events(client)
    assert (line["event"], line["by_identity"], line["by"]) == ("session_attached", False, owner())
    assert (line["session"], line["address"]) == (session.name, "127.0.0.1")

    other = Resuming(Access(gateway.url, gateway.token), name=client.name)
    attached, taken = await events(other, secret=None, offset=None)
    assert (attached["event"], taken["event"]) == ("session_attached", "session_taken_over")
    assert (taken["session"], taken["target"]) == (session.name, str(session.target))
    assert (taken["by"], taken["proof"], taken["by_identity"], taken["connected"]) == (
        owner(),
        "token",
        True,
        True,
    )
    await other.cut()
    await until(lambda: not session.attached)
    assert [line.get("connected") for line in await events(other, secret=None, offset=None)] == [None, False]
    await other.close()
    await idle(gateway)


async def another_client_takes_over_by_identity(gateway, client):
    await client.open(shell("cat", pod=""))
    await client.type(b"one\n")
    await client.until(lambda: b"one\r\none\r\n" in client.output)
    other = Resuming(Access(gateway.url, gateway.token), name=client.name)
    await other.attach(secret=None, offset=None)
    assert other.output == b"" or other.output == b"one\r\none\r\n"
    await client.gone()

    assert client.end["code"] == "taken_over"
    assert client.status["code"] == 409
    assert client.closed[0] == 1000
    await client.attach()
    assert client.refused["code"] == "resume_refused"
    assert "another client" in client.refused["message"]
    assert client.status["code"] == 403
    await other.type(b"two\n")
    await other.until(lambda: other.output == b"one\r\none\r\ntwo\r\ntwo\r\n")
    await other.close()
    await idle(gateway)


async def a_command_that_ends_before_its_client_is_there_keeps_its_output(gateway, client, monkeypatch):
    async def late(*_, **__):
        await asyncio.sleep(0.3)

    monkeypatch.setattr("gateway.server.lookup.verify", late)
    await client.open(shell("echo", "hi"))
    await client.until(lambda: client.end)
    assert (client.output, client.gaps, client.end["exitCode"]) == (b"hi\r\n", [], 0)
    await idle(gateway)


async def a_defect_is_told_to_a_client_that_has_been_let_in(gateway, client, monkeypatch):
    async def breaks(*_, **__):
        raise LookupError

    monkeypatch.setattr("gateway.server.lookup.verify", breaks)
    with capture_logs() as logs:
        await client.open(shell("cat"))
    assert client.refused["code"] == "gateway_error"
    assert "request_defect" in [row["event"] for row in logs]
    await idle(gateway)


async def one_that_the_cluster_refuses_when_it_has_ended_waits_for_nobody(gateway, client, monkeypatch):
    async def refuses(*_, **__):
        await asyncio.sleep(0.3)
        raise Refused("pod_not_found", "no such pod")

    monkeypatch.setattr("gateway.server.lookup.verify", refuses)
    await client.open(shell("echo", "hi"))
    assert client.refused["code"] == "pod_not_found"
    await idle(gateway)


async def who_took_it_over_before_it_was_refused_hears_why(gateway, client, monkeypatch):
    asked, refused = asyncio.Event(), asyncio.Event()

    async def refuses(*_, **__):
        asked.set()
        await refused.wait()
        raise Refused("pod_not_found", "no such pod")

    monkeypatch.setattr("gateway.server.lookup.verify", refuses)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.open(shell("cat")))
        await asked.wait()
        (session,) = gateway.gateway.registry.sessions
        other = await Resuming(client.access, name=session.name).attach(secret=None, offset=None)
        refused.set()
    await other.until(lambda: other.end)
    assert client.refused["code"] == other.end["code"] == "pod_not_found"
    await idle(gateway)


async def what_is_found_while_the_gateway_stops_is_left_as_it_is(gateway, client):
    await client.open(shell("cat", pod=""))
    one = gateway.gateway.registry
    (session,) = one.sessions
    one.stopping = True
    assert one.recover("default", RecoveredSession("f" * 16, session.resumption._note().body(), 0, 0, 0, 0))
    assert list(one.sessions) == [session]
    other = await Resuming(client.access, name="f" * 16).attach(secret=None, offset=None)
    assert other.refused["code"] == "shutdown"
    one.stopping = False
    await client.close()
    await idle(gateway)


async def of_two_that_attach_at_once_one_has_it(gateway, client):
    await client.open(shell("cat", pod=""))
    await client.type(b"x\n")
    await client.until(lambda: b"x\r\nx\r\n" in client.output)
    both = [replace(client, output=bytearray(), typed=bytearray(), controls=[]) for _ in range(2)]
    for one in both:
        one._reader = None
    await asyncio.gather(*(one.attach() for one in both))
    await client.gone()
    await asyncio.sleep(0.3)

    assert client.end["code"] == "taken_over"
    codes = [(one.end or one.refused or {}).get("code") for one in both]
    assert sorted(map(str, codes)) in (["None", "resume_refused"], ["None", "taken_over"])
    winner = both[codes.index(None)]
    await winner.type(b"y\n")
    await winner.until(lambda: winner.output == b"y\r\ny\r\n")
    await winner.close()
    await idle(gateway)


async def the_secret_before_is_good_until_the_new_one_was_used(gateway, client):
    await client.open(shell("cat", pod=""))
    await client.until(lambda: client.controls[-1]["type"] == "started")
    await asyncio.sleep(0.1)
    first = client.secret
    await client.cut()
    client.deaf = True
    await client.attach(secret=first)  # its hello is lost
    await client.cut()
    client.deaf = False
    await client.attach(secret=first)
    second = client.secret
    await client.type(b"x\n")
    await client.until(lambda: b"x\r\nx\r\n" in client.output)
    await client.cut()
    await client.attach(secret=first)
    assert client.refused["code"] == "resume_refused"
    await client.attach(secret=second)
    assert client.refused is None
    await client.close()
    await idle(gateway)


async def a_wrong_secret_is_refused_and_hurts_nobody(gateway, client):
    await client.open(shell("cat", pod=""))
    for secret in ("", "x", "wrong" * 100, "\ud800ü"):
        thief = Resuming(Access(gateway.url, gateway.token), name=client.name, secret=secret)
        await thief.attach(secret=secret + " ", offset=0)
        assert thief.refused["code"] == "resume_refused", secret
    await client.type(b"mine\n")
    await client.until(lambda: b"mine\r\nmine\r\n" in client.output)
    await client.close()
    await idle(gateway)


async def another_identity_is_refused_with_and_without_the_secret(gateway, client):
    await client.open(shell("cat", pod=""))
    tokens = gateway.gateway.access.tokens
    page, _ = tokens.trade(tokens.ticket(Identity("ann", "page")))
    for secret in (client.secret, None):
        other = Resuming(Access(gateway.url, page), name=client.name)
        await other.attach(secret=secret, offset=0)
        assert other.refused["code"] == "resume_refused"
    await client.type(b"mine\n")
    await client.until(lambda: b"mine\r\nmine\r\n" in client.output)
    await client.close()
    await idle(gateway)


async def the_gateways_user_goes_on_with_it_from_everywhere(gateway, client):
    """Opened with the token; taken over through the socket, and from there by a page from a link of its own."""
    await client.open(shell("cat"))
    tokens = gateway.gateway.access.tokens
    page, _ = tokens.trade(tokens.ticket(Identity(owner(), "uid")))
    for access in (Access("", socket=str(gateway.socket)), Access(gateway.url, page)):
        before, client = client, Resuming(access, name=client.name)
        await client.attach(secret=None, offset=None)
        assert client.refused is None
        await before.until(lambda ended=before: ended.end)
        assert before.end["code"] == "taken_over"
    await client.type(b"mine\n")
    await client.until(lambda: b"mine\r\nmine\r\n" in client.output)
    await client.close()
    await idle(gateway)


async def offsets_that_are_not_to_be_had(gateway, client):
    await client.open(shell("sh", "-c", RAW + at_once(30_000) + "; sleep 1000", pod=""))
    every = b"ready\n" + lines(30_000)
    await client.until(lambda: len(client.output) >= len(every))
    await client.see()
    await asyncio.sleep(0.2)
    await client.cut()
    for offset in (0, client.offset - 1, client.offset + 1, 1 << 62):
        await client.attach(offset=offset)
        assert client.refused["code"] == "offset_gone"
        assert client.status["code"] == 410
    at = client.offset
    await client.attach(offset=None)
    assert client.offset == at, "all of it was seen, and nothing is kept"
    await client.close()
    await idle(gateway)


async def a_client_without_an_offset_gets_the_newest(gateway, client):
    client.deaf = True
    await client.open(shell("sh", "-c", RAW + at_once(30_000) + "; sleep 1000", pod=""))
    await client.control(type="seen", offset=0)
    await client.until(lambda: len(client.output) == client.window)
    (session,) = gateway.gateway.registry.sessions
    every = b"ready\n" + lines(30_000)
    await until(lambda: session.output.end == len(every))
    await client.cut()
    client.deaf, client.output = False, bytearray()
    await client.attach(offset=None)
    await client.until(lambda: client.output == every[-65536:])
    await client.close()
    await idle(gateway)


async def output_waits_for_what_was_seen(gateway, client):
    """A window of it, however long that takes; the session itself goes on."""
    client.deaf = True
    await client.open(shell("sh", "-c", RAW + at_once(60_000), pod=""))
    await client.control(type="seen", offset=0)
    await client.until(lambda: len(client.output) == client.window)
    await asyncio.sleep(0.3)
    assert len(client.output) == client.window
    client.deaf = False
    await client.see()
    await client.until(lambda: client.over)
    assert client.output == b"ready\n" + lines(60_000)
    await idle(gateway)


async def test_output_goes_on_at_the_offset_that_was_seen(gateway, subtests):
    """And waits for it."""
    claims = (
        offsets_that_are_not_to_be_had,
        a_client_without_an_offset_gets_the_newest,
        output_waits_for_what_was_seen,
    )
    await each_holds(subtests, claims, with_a_client(gateway))


async def seen_of_what_was_not_sent_breaks_the_rules(gateway, _):
    for offset in (-1, 1 << 40, "1", None, True, 1.5):
        client = await Resuming(Access(gateway.url, gateway.token)).open(shell("cat", pod=""))
        await client.control(type="seen", offset=offset)
        await client.gone()

        assert client.closed[0] == 1002, offset
        await idle(gateway)


NO_ATTACH = (
    b"\x05{}", b"\x00ls\n", b"\x05" + b'{"type":"attach"}', b"\x05" + b'{"type":"attach","secret":3,"offset":0}',
    b"\x05" + b'{"type":"attach","secret":"x","offset":true}', b"", b'\x05{"type":"seen","offset":0}',
)  # fmt: skip


async def an_attach_that_is_none(gateway, client):
    await client.open(shell("cat", pod=""))
    for body in NO_ATTACH:
        other = Resuming(Access(gateway.url, gateway.token), name=client.name)
        await other._connect(f"/gateway/v1/sessions/{client.name}/attach")
        await other.socket.send(body)
        await other.gone()
        assert other.refused["code"] == "bad_request", body
    await client.close()
    await idle(gateway)


async def an_attach_that_breaks_the_rules_is_no_defect(gateway, client):
    await client.open(shell("cat", pod=""))
    other = Resuming(client.access, name=client.name)
    await other._connect(f"/gateway/v1/sessions/{client.name}/attach")
    await other.socket.send(b"\xff\x09")
    await other.gone()
    assert other.closed[0] == 1002
    await client.close()
    await idle(gateway)


async def test_who_attaches_has_to_prove_it(gateway, subtests):
    """Nobody who may not attach does harm, and of those who may one has it."""
    claims = (
        a_wrong_secret_is_refused_and_hurts_nobody,
        another_identity_is_refused_with_and_without_the_secret,
        an_attach_that_is_none,
        an_attach_that_breaks_the_rules_is_no_defect,
        seen_of_what_was_not_sent_breaks_the_rules,
        another_client_takes_over_by_identity,
        the_gateways_user_goes_on_with_it_from_everywhere,
        of_two_that_attach_at_once_one_has_it,
        the_secret_before_is_good_until_the_new_one_was_used,
    )
    await each_holds(subtests, claims, with_a_client(gateway))


async def a_client_of_ours_is_let_in_before_it_is_known_whether_it_can_be_kept(gateway, client, monkeypatch):
    """A hop that hangs may take longer than a client waits for a handshake, and is told by its name."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def late(*_):
        asked.set()
        await answered.wait()

    monkeypatch.setattr(gateway.gateway.registry, "keeper", late)
    await client._connect(shell("echo", "hi", pod=""))
    await asked.wait()
    answered.set()
    await client.until(lambda: client.end)
    assert (client.output, client.end["exitCode"]) == (b"hi\r\n", 0)
    await idle(gateway)


async def test_what_the_cluster_says_late_is_told(gateway, monkeypatch, subtests):
    """The client was let in before."""
    claims = (
        a_command_that_ends_before_its_client_is_there_keeps_its_output,
        a_defect_is_told_to_a_client_that_has_been_let_in,
        one_that_the_cluster_refuses_when_it_has_ended_waits_for_nobody,
        who_took_it_over_before_it_was_refused_hears_why,
        a_client_of_ours_is_let_in_before_it_is_known_whether_it_can_be_kept,
    )

    async def patched(claim):
        with monkeypatch.context() as patch:
            await with_a_client(gateway)(claim, patch)

    await each_holds(subtests, claims, patched)


async def test_at_the_cap_the_oldest_is_dropped_and_told(demo, tmp_path):
    async with gateway_on(demo, tmp_path, journal_capacity=300_000, journal_memory=50_000) as gateway:
        client = Resuming(Access(gateway.url, gateway.token), deaf=True)
        await client.open(shell("sh", "-c", RAW + at_once(100_000) + "; exit 4", pod=""))
        await client.control(type="seen", offset=0)
        await client.until(lambda: len(client.output) == client.window)
        await asyncio.sleep(1.0)
        client.deaf = False
        await client.see()
        await client.until(lambda: client.over)
        every = b"ready\n" + lines(100_000)
        assert client.end["exitCode"] == 4
        assert client.gaps
        expected, at, begin = bytearray(), 0, 0
        for place, count in client.gaps:
            expected += every[at : at + place - begin]
            at, begin = at + place - begin + count, place
        assert client.output == expected + every[at:]
        await idle(gateway)


async def its_end_is_told_to_a_client_that_was_away(gateway, client):
    await client.open(shell("sh", "-c", RAW + "read x; echo done; exit 7", pod=""))
    await client.until(lambda: b"ready" in client.output)
    await client.type(b"\n")
    await client.cut()
    (session,) = gateway.gateway.registry.sessions
    await until(lambda: session.outcome)
    await asyncio.sleep(0.2)
    await client.attach()
    await client.until(lambda: client.over)
    await client.gone()

    assert client.output == b"ready\ndone\n"
    assert client.end["exitCode"] == 7
    await idle(gateway)
    await client.attach()
    assert client.refused["code"] == "session_unknown"


async def an_end_by_somebody_else_is_told_too(gateway, client):
    await client.open(shell("cat", pod=""))
    await client.until(lambda: client.controls[-1]["type"] == "started")
    await asyncio.sleep(0.1)
    await client.cut()
    (session,) = gateway.gateway.registry.sessions
    session.end(Outcome("killed", "ended by admin: lunch"))
    await asyncio.sleep(0.5)
    await client.attach()
    await client.until(lambda: client.over)
    assert client.end["code"] == "killed"
    assert client.end["message"] == "ended by admin: lunch"
    await client.gone()
    await idle(gateway)


async def a_session_whose_client_is_away_is_ended_at_once(gateway, client):
    """Its end waits to be told, and nothing else does: not who ends it, not its place, not the log."""
    await client.open(shell("cat", pod=""))
    await client.until(lambda: client.controls[-1]["type"] == "started")
    await client.cut()
    await until(lambda: not next(iter(gateway.gateway.registry.sessions)).attached)
    (session,) = gateway.gateway.registry.sessions
    access, once = Access(gateway.url, gateway.token), (("Connection", "close"),)
    path = f"/gateway/v1/sessions/{session.name}?reason=lunch"
    answer = await ask(access, path, once, method="DELETE", seconds=4)  # it was as long as it could be, 6 s
    assert (answer.code, answer.ended) == (204, True)
    assert gateway.gateway.registry.quota.sessions == 0
    assert json.loads((await ask(access, "/gateway/v1/sessions", once)).body) == {"sessions": []}
    assert session.outcome.code == "killed"
    await client.attach()
    await client.until(lambda: client.over)
    assert client.end["message"] == f"ended by {owner()}: lunch"
    await client.gone()
    await idle(gateway)


async def a_shell_that_ended_while_its_client_was_away_has_no_place(gateway, client):
    await client.open(shell("sh", "-c", "echo ready; sleep 1; exit 7", pod=""))
    await client.until(lambda: b"ready" in client.output)
    await client.cut()
    await until(lambda: not gateway.gateway.registry.quota.sessions)
    await client.attach()
    await client.until(lambda: client.over)
    assert client.end["exitCode"] == 7
    await client.gone()
    await idle(gateway)


async def test_ends_that_wait_to_be_told_are_as_many_as_there_may_be_sessions(demo, tmp_path):
    async with gateway_on(demo, tmp_path, sessions=2) as gateway:
        clients = [Resuming(Access(gateway.url, gateway.token)) for _ in range(3)]
        for one in clients:
            await one.open(shell("sh", "-c", "echo ready; sleep 1; exit 7", pod=""))
            await one.until(lambda client=one: b"ready" in client.output)
            await one.cut()
            await until(lambda: not gateway.gateway.registry.quota.sessions)
        await until(lambda: len(gateway.gateway.registry.sessions) == 2)
        assert (await clients[0].attach()).refused["code"] == "session_unknown"
        for one in clients[1:]:
            await one.attach()
            await one.until(lambda client=one: client.over)
            assert one.end["exitCode"] == 7
            await one.gone()
        await idle(gateway)


async def much_output_that_waits_keeps_its_place(gateway, client):
    """It is on the disk, and somebody has to answer for it."""
    await client.open(shell("sh", "-c", "echo ready; sleep 1; head -c 200000 /dev/zero; exit 7", pod=""))
    await client.until(lambda: b"ready" in client.output)
    await client.cut()
    (session,) = gateway.gateway.registry.sessions
    await until(session.over.done)
    await asyncio.sleep(0.1)
    assert gateway.gateway.registry.quota.sessions == 1
    await client.attach()
    await client.until(lambda: client.over)
    assert client.end["exitCode"] == 7
    await client.gone()
    await idle(gateway)
    await until(lambda: not gateway.gateway.registry.quota.sessions)


@pytest.mark.parametrize("key", [b"\x03", again(b"\x1a"), again(b"\x1c")])
async def test_a_key_that_flushes_quiets_a_flood(gateway, client, key):
    """What waits is dropped, and the prompt behind it is not."""
    await client.open(shell())
    await client.type(b"PS1='pro''mpt> '\n")
    await client.until(lambda: b"prompt> " in client.output)
    (session,) = gateway.gateway.registry.sessions
    for _ in range(2 if FEW else 3):
        mark = len(client.output)
        await client.type(b"yes abcdefghijklmnopqrstuvwxyz\n")
        await client.until(lambda m=mark: len(client.output) > m + 300_000)
        client.deaf = True
        await client.until(lambda: client.offset - client.seen == client.window)
        await until(lambda: session.output.end > client.offset + 2_500_000)
        client.deaf = False
        mark = len(client.output)
        await client.type(key)
        await client.see()
        await client.until(lambda m=mark: b"prompt> " in client.output[m:])
        assert len(client.output) - mark < 2_000_000
    assert client.gaps
    # a shell that does not know yet that its stopped jobs are gone refuses the first exit
    await client.type(b"kill -9 $(jobs -p); wait; exit 3; exit 3\n")
    await client.until(lambda: client.over)
    assert client.end["exitCode"] == 3
    await idle(gateway)


async def test_what_is_left_out_costs_no_credit(gateway, client):
    """A terminal tells what it has drawn before a gap; of the gap itself it tells with the next byte."""
    await client.open(shell())
    await client.type(b"PS1='pro''mpt> '\n")
    await client.until(lambda: b"prompt> " in client.output)
    client.deaf = True
    await client.type(b"yes abcdefghijklmnopqrstuvwxyz\n")
    await client.until(lambda: client.offset - client.seen == client.window)
    (session,) = gateway.gateway.registry.sessions
    await until(lambda: session.output.end > client.offset + 1_000_000)
    before, mark = client.offset, len(client.output)
    await client.type(b"\x03")
    await client.until(lambda: client.gaps)
    client.seen += client.window
    await client.control(type="seen", offset=before)
    await client.until(lambda: b"prompt> " in client.output[mark:], 5)
    client.deaf = False
    await client.see()
    await client.type(b"exit 3\n")
    await client.until(lambda: client.over)
    await idle(gateway)


async def a_ping_is_answered_on_every_session_of_our_own(gateway, client):
    await client.open(shell("cat", pod="", resume=False))
    assert client.controls[0]["resume"] is None
    for _ in range(3):
        await client.control(type="ping")
    await client.until(lambda: [one["type"] for one in client.controls].count("pong") == 3)
    await client.cut()
    await idle(gateway)


async def test_what_nobody_can_come_back_to_is_not_waited_for(gateway, subtests):
    """Nor what its client has closed."""
    claims = (
        a_client_that_closes_it_ends_it,
        one_whose_hello_nobody_read_is_not_waited_for,
        what_is_found_while_the_gateway_stops_is_left_as_it_is,
        a_ping_is_answered_on_every_session_of_our_own,
    )
    await each_holds(subtests, claims, with_a_client(gateway))


async def test_on_the_plain_chain_there_is_no_resume(demo, tmp_path):
    async with gateway_on(demo, tmp_path, mode="plain") as gateway:
        client = await Resuming(Access(gateway.url, gateway.token)).open(shell("cat", pod=""))
        assert client.controls[0]["resume"] is None
        await client.close(4001)
        await idle(gateway)


async def test_a_lost_hop_is_told_and_the_session_goes_on(demo, tmp_path):
    host, _, port = demo.ssh_host.rpartition(":")
    async with cuttable(int(port), host.rpartition("@")[2]) as forwarder:
        known = tmp_path / "known"
        known.write_text(f"[127.0.0.1]:{forwarder.port} {demo.known_hosts.read_text().split(' ', 1)[1]}")
        user = host.rpartition("@")[0]
        cluster = cluster_at(
            f"{user}@127.0.0.1:{forwarder.port}", demo.ssh_key, known, demo.instance, mode="relay"
        )
        async with served(config_for(cluster), tmp_path) as gateway:
            client = Resuming(Access(gateway.url, gateway.token))
            await client.open(shell("sh", "-c", RAW + LINES % 20_000 + "; cat", pod=""))
            await client.until(lambda: b"line 100\n" in client.output)
            forwarder.broken = True
            forwarder.cut()
            await client.until(lambda: client.hops == ["ssh_lost"])
            hop = next(one for one in client.controls if one["type"] == "hop")
            assert (hop["hop"], hop["seconds"]) == ("ssh", 120)
            await client.cut()  # the client is lost as well
            await client.attach()
            await client.until(lambda: client.hops == ["ssh_lost", "ssh_lost"])
            await client.type(b"typed meanwhile")
            forwarder.broken = False
            await client.until(lambda: client.output.endswith(b"typed meanwhile"))
            assert client.output == b"ready\n" + lines(20_000) + b"typed meanwhile"
            assert client.hops[-1] is None
            await client.close()
            await idle(gateway)


async def the_list_says_who_waits(gateway, client):
    await client.open(shell("cat", pod=""))
    await client.until(lambda: client.controls[-1]["type"] == "started")
    (session,) = gateway.gateway.registry.sessions
    assert (session.resumption is not None, session.attached) == (True, True)
    await asyncio.sleep(0.1)
    await client.cut()
    await until(lambda: not session.attached)
    await client.attach()
    assert session.attached
    await client.close()
    await idle(gateway)


async def test_the_end_of_one_whose_client_is_away_waits_for_it(gateway, subtests):
    """It has a place only where much output waits, too."""
    claims = (
        its_end_is_told_to_a_client_that_was_away,
        an_end_by_somebody_else_is_told_too,
        a_session_whose_client_is_away_is_ended_at_once,
        a_shell_that_ended_while_its_client_was_away_has_no_place,
        much_output_that_waits_keeps_its_place,
        the_list_says_who_waits,
    )
    await each_holds(subtests, claims, with_a_client(gateway))


async def a_session_ends_with_the_token_that_attached_last(gateway, _):
    """Not with the token that opened it, once another one of the same person has it."""
    tokens = gateway.gateway.access.tokens
    first, second = (tokens.trade(tokens.ticket(Identity("ann", "uid")))[0] for _ in range(2))
    client = Resuming(Access(gateway.url, first))
    await client.open(shell())
    await client.cut()
    client.access = Access(gateway.url, second)
    await client.attach()
    tokens.revoke(first)
    await asyncio.sleep(1.5)
    await client.type(b"echo still $((6*7))\n")
    await client.until(lambda: b"still 42" in client.output)
    tokens.revoke(second)
    await client.until(lambda: client.over, 5)

    assert client.end["code"] == "access_revoked"
    await client.gone()
    await idle(gateway)


async def who_takes_over_is_told_the_modes_that_the_program_has_set(gateway, client):
    """The second client gets no output that the first one has acknowledged, and so not what set them."""
    setting = r"\033[?1049h\033[?1h\033[?25l"
    await client.open(
        shell("sh", "-c", f"{RAW} printf '{setting}screen'; read x; printf '\\033[?25h.'; cat", pod="")
    )
    await client.until(lambda: b"screen" in client.output)
    await client.see()
    other = Resuming(Access(gateway.url, gateway.token))
    other.name = client.name
    await other.attach(secret=None, offset=None)
    await other.until(lambda: other.attaches == 1)
    (hello,) = [one for one in other.controls if one["type"] == "hello"]
    assert hello["resume"]["modes"] == "\x1b[?1049h\x1b[?1h\x1b[?25l"
    await other.type(b"\n")
    await other.until(lambda: other.output.endswith(b"."))
    await other.cut()
    await other.attach()
    await other.until(lambda: other.attaches == 2)

    hello = [one for one in other.controls if one["type"] == "hello"][-1]
    assert hello["resume"]["modes"] == "\x1b[?1049h\x1b[?1h"
    await other.close()
    await idle(gateway)


async def test_the_same_client_and_another_one_go_on_with_it(gateway, subtests):
    claims = (
        a_terminal_can_be_resumed,
        that_one_was_taken_over_is_an_event,
        who_takes_over_is_told_the_modes_that_the_program_has_set,
        a_session_ends_with_the_token_that_attached_last,
    )
    await each_holds(subtests, claims, with_a_client(gateway))
