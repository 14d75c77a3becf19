"""How sessions and connections end, whoever ends them, and that nothing is left behind."""

import asyncio
import contextlib
import json
import os
import socket
import stat

import pytest
from support import leaks
from support.exec_client import Access, Request, run
from support.peer import BINARY, CLOSE, OWN, PING, PONG, V5, frame, peer
from support.repeated import again
from support.served import TOKEN
from support.waiting import until

from gateway.protocol.outcome import CODES
from gateway.settings.config import Limits

POD = "/api/v1/namespaces/default/pods/web-0"
MIB = 1 << 20


TERMINAL = ("stdin", "stdout", "tty")


def command(*argv, streams=("stdin", "stdout")):
    return Request(argv, pod="web-0", streams=streams).path()


async def leave(client, how):
    if how == "close":
        client.say(b"\x03\xe8", CLOSE)
    elif how == "fin":
        client.writer.write_eof()
    else:
        client.reset()


def status(heard):
    """The one Status among what was heard, strictly last before the close."""
    said = [payload for opcode, payload in heard if opcode == BINARY and payload[:1] == b"\x03"]
    assert len(said) == 1, heard[-3:]
    assert heard[-2][1] == said[0]
    assert heard[-1] == (CLOSE, b"\x03\xe8")
    return json.loads(said[0][1:])


# the client goes


MOMENTS = [("never",), ("cat",), ("flood", "4000"), ("hold",)]
LEAVES = [
    (how, argv, unix) for unix in (False, True) for argv in MOMENTS for how in ("close", "fin", "reset")
]
THERE = [  # at the Unix socket: each way to leave, and each moment
    ("close", MOMENTS[0], True), ("fin", MOMENTS[1], True), ("reset", MOMENTS[2], True), ("fin", MOMENTS[3], True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("how", "argv", "unix"), [again(*row) if row[2] and row not in THERE else row for row in LEAVES]
)
async def test_a_client_that_leaves_ends_its_session(edge, how, argv, unix):
    """Before the command has started, while it is silent, and in mid-output."""
    async with peer(edge.socket if unix else edge.url) as client:
        assert (await client.upgrade(command(*argv), (V5, edge.proof))).code == 101
        await client.hear()
        await edge.backend.until(running=1)
        await leave(client, how)
        await edge.idle()

    assert edge.outcomes() == {"client_closed" if how == "close" else "client_lost": 1}


@pytest.mark.parametrize("how", ["close", "fin", "reset"])
async def test_a_client_that_leaves_without_having_read_ends_its_session(edge, how):
    """Its window is closed; what is on its way is of no use to anybody."""
    async with peer(edge.url, rcvbuf=4096) as client:
        await client.upgrade(command("drip"), (V5, edge.proof))
        await edge.backend.until(running=1)
        (session,) = edge.gateway.registry.sessions
        await until(lambda: session.output.end > 8 * MIB)
        await leave(client, how)
        await edge.idle()

    assert edge.outcomes() == {"client_closed" if how == "close" else "client_lost": 1}


@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_a_client_that_leaves_while_nobody_reads_ends_its_session(edge_with, how, unix):
    """Its input is at the cap: the end of its connection is all that can be noticed."""
    edge = await edge_with(Limits(stdin_capacity=MIB))
    async with peer(edge.socket if unix else edge.url) as client:
        await client.upgrade(command("hold"), (V5, edge.proof))
        for _ in range(16):
            client.say(b"\x00" + bytes(MIB))
        async with asyncio.timeout(10):
            await client.hear()
        await edge.backend.until(running=1)
        await asyncio.sleep(0.1)
        if how == "reset":
            await leave(client, how)
        else:
            client.writer.transport.abort()  # the FIN stands behind what nobody reads
        await edge.idle()

    assert edge.outcomes() == {"client_lost": 1}


@pytest.mark.parametrize(
    "argv", [("sleep", "600"), ("cat", "/dev/zero"), ("sh", "-c", "trap '' TERM HUP; sleep 600")]
)
@pytest.mark.parametrize("tty", [(), ("tty",)])
async def test_on_the_chain_nothing_is_left_of_a_lost_client(gateway, argv, tty):
    """No channel of SSH; the fixture looks for the rest."""
    backend = gateway.gateway.backends["default"]
    async with peer(gateway.url) as client:
        path = command(*argv, streams=("stdin", "stdout", *tty))
        assert (await client.upgrade(path, (OWN, ("Authorization", f"Bearer {TOKEN}")))).code == 101
        while b'"started"' not in (await client.hear())[1]:
            pass
        client.reset()
    await until(
        lambda: not gateway.gateway.registry.sessions and not backend.stats().connections["channels"], 20
    )


async def test_on_the_chain_a_client_may_leave_before_the_start(gateway):
    backend = gateway.gateway.backends["default"]
    for _ in range(8):
        async with peer(gateway.url) as client:
            client.request("GET", command("sleep", "600"), (V5, ("Authorization", f"Bearer {TOKEN}")))
            await asyncio.sleep(0.005)
            client.reset()
    for turn in range(8):
        async with peer(gateway.url) as client:
            await client.upgrade(command("sleep", "600"), (V5, ("Authorization", f"Bearer {TOKEN}")))
            await asyncio.sleep(0.01 * turn)
            client.reset()
    await until(
        lambda: not gateway.gateway.registry.sessions and not backend.stats().connections["channels"], 4
    )


# a client that is slow, silent, or says too much


async def test_a_client_that_answers_no_ping_is_not_lost(edge_with):
    """A library between two calls; its kernel acknowledges."""
    edge = await edge_with(Limits(ping=0.05, silence=0.1))
    async with peer(edge.url) as client:
        await client.upgrade(command("cat"), (V5, edge.proof))
        pings = 0
        async with asyncio.timeout(10):
            while pings < 4:
                opcode, _ = await client.hear()
                pings += opcode == PING
        client.say(b"\x00here")
        client.say(b"\xff\x00")
        heard = await client.rest()

    assert status(heard)["status"] == "Success"
    assert (BINARY, b"\x01here") in heard


async def test_a_client_that_pauses_is_not_lost(edge_with):
    """Its window stays closed for longer than silence may last."""
    edge = await edge_with(Limits(ping=0.05, silence=0.1))
    async with peer(edge.url, rcvbuf=4096) as client:
        await client.upgrade(command("flood", "8"), (V5, edge.proof))
        await asyncio.sleep(0.5)
        heard = await client.rest()

    assert (
        sum(len(payload) - 1 for opcode, payload in heard if opcode == BINARY and payload[0] == 1) == 8 * MIB
    )
    assert status(heard)["status"] == "Success"


async def test_the_kernel_does_not_end_a_connection_for_a_pause(edge):
    """TCP_USER_TIMEOUT counts a closed window as silence."""
    async with peer(edge.url) as client:
        await client.upgrade(command("cat"), (V5, edge.proof))
        await client.hear()
        port = client.writer.get_extra_info("sockname")[1]
        found = [_timeout_of(fd, port) for fd in leaks.descriptors()]
    assert [one for one in found if one is not None] == [0]


def _timeout_of(fd, port):
    """TCP_USER_TIMEOUT of the socket whose peer is there."""
    with contextlib.suppress(OSError):  # closed meanwhile, or not connected
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            with socket.socket(fileno=os.dup(fd)) as sock:
                if sock.family == socket.AF_INET and sock.getpeername()[1] == port:
                    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    return None


@pytest.mark.parametrize("row", [V5, OWN])
async def test_output_beyond_the_journal_is_a_slow_client_and_never_success(edge_with, row):
    edge = await edge_with(Limits(journal_memory=65536, journal_capacity=MIB))
    async with peer(edge.url, rcvbuf=4096) as client:
        await client.upgrade(command("flood", "64"), (row, edge.proof))
        await edge.idle()
        heard = await client.rest()

    assert edge.outcomes() == {"slow_client": 1}
    said = status(heard)
    assert (said["reason"], said["code"]) == ("InternalError", 500)
    assert "slow_client" in said["message"]
    got = sum(len(payload) - 1 for opcode, payload in heard if opcode == BINARY and payload[0] == 1)
    assert MIB <= got < 64 * MIB
    if row is OWN:
        end = json.loads(heard[-3][1][1:])
        assert (end["type"], end["code"], end["exitCode"]) == ("end", "slow_client", None)


FLOOD = ("flood", "12")
OTHERS = {
    "a command that was named": (OWN, FLOOD, TERMINAL), "a Kubernetes client": (V5, FLOOD, TERMINAL),
    "pipes": (OWN, (), TERMINAL[:2]),
}  # fmt: skip


@pytest.mark.parametrize("key", [b"\x03", b"\x1a", b"\x1c", b"x"])
async def test_a_key_that_flushes_quiets_a_flood_that_waits(edge, key):
    """A shell of ours says how much is left out."""
    left_out = await _left_out(edge, OWN, (), TERMINAL, key)
    assert len(left_out) == (key != b"x")
    assert (sum(left_out) > 4 * MIB) == (key != b"x")


@pytest.mark.parametrize("key", [b"\x03", again(b"\x1a"), again(b"\x1c"), again(b"x")])
@pytest.mark.parametrize("other", OTHERS)
async def test_nobody_else_gets_less_than_all(edge, other, key):
    assert await _left_out(edge, *OTHERS[other], key) == []


async def _left_out(edge, row, argv, streams, key):
    """The lengths of what is left out of a flood that waits when the key comes; the rest has arrived."""
    edge.backend.shell = FLOOD
    async with peer(edge.url, rcvbuf=4096) as client:
        await client.upgrade(command(*argv, streams=streams), (row, edge.proof))
        (session,) = edge.gateway.registry.sessions
        await until(lambda: session.output.end >= 8 * MIB, 10)
        client.say(b"\x00" + key)
        await edge.backend.until(running=0)
        heard = [payload for opcode, payload in await client.rest() if opcode == BINARY]

    gaps = [json.loads(payload[1:]) for payload in heard if payload[0] == 5 and b'"gap"' in payload]
    left_out = [gap["bytes"] for gap in gaps]
    assert sum(len(payload) - 1 for payload in heard if payload[0] == 1) + sum(left_out) == 12 * MIB
    return left_out


async def test_a_shell_that_is_to_be_exact_drops_nothing(edge):
    edge.backend.shell = FLOOD
    async with peer(edge.url, rcvbuf=4096) as client:
        await client.upgrade(f"{command(streams=TERMINAL)}&exact=true", (OWN, edge.proof))
        (session,) = edge.gateway.registry.sessions
        await until(lambda: session.output.end >= 8 * MIB, 10)
        client.say(b"\x00\x03")
        heard = [payload for opcode, payload in await client.rest() if opcode == BINARY]

    assert json.loads(heard[0][1:])["exact"] is True
    assert sum(len(payload) - 1 for payload in heard if payload[0] == 1) == 12 * MIB


async def test_pongs_and_the_close_pass_input_that_nobody_takes(edge_with):
    """Below the cap the reader never stops: design 3."""
    edge = await edge_with(Limits(stdin_capacity=8 * MIB))
    async with peer(edge.url) as client:
        await client.upgrade(command("hold"), (V5, edge.proof))
        for _ in range(6):
            client.say(b"\x00" + bytes(MIB))
        client.say(b"alive?", PING)
        async with asyncio.timeout(10):
            while await client.hear() != (PONG, b"alive?"):
                pass
        client.say(b"\x03\xe8", CLOSE)
        await edge.idle()
    assert edge.outcomes() == {"client_closed": 1}


async def test_at_the_cap_reading_stops_and_the_end_is_told_all_the_same(edge_with):
    """Backpressure is the protocol's own; a session that ends reads on, so that the close is answered."""
    edge = await edge_with(Limits(stdin_capacity=MIB))
    async with peer(edge.url) as client:
        await client.upgrade(command("hold"), (V5, edge.proof))
        for _ in range(32):
            client.say(b"\x00" + bytes(MIB))
        await client.hear()
        await asyncio.sleep(0.2)
        assert client.writer.transport.get_write_buffer_size() > 16 * MIB, "not taken into memory"
        await edge.gateway.registry.stop()
        heard = await client.rest()
    assert status(heard)["code"] == 503


async def test_input_goes_on_while_pongs_wait_behind_output(edge):
    """A client that reads nothing before it has said everything, pings among it."""
    async with peer(edge.url, rcvbuf=4096) as client:
        await client.upgrade(command("cat"), (V5, edge.proof))
        for number in range(8):
            client.say(b"\x00" + bytes(MIB))
            client.say(b"%d" % number, PING)
        client.say(b"\xff\x00")
        await until(lambda: len(edge.backend.read) == 8 * MIB, 5)
        heard = await client.rest()

    assert status(heard)["status"] == "Success"
    assert (PONG, b"7") in heard


async def test_a_storm_of_pings_does_no_harm(edge):
    async with peer(edge.url) as client, asyncio.timeout(10):
        await client.upgrade(command("cat"), (V5, edge.proof))
        for number in range(20_000):
            client.say(b"%d" % number, PING)
        client.say(b"\x00typed")
        client.say(b"\xff\x00")
        heard = await client.rest()

    assert (BINARY, b"\x01typed") in heard
    assert (PONG, b"19999") in heard


@pytest.mark.parametrize("piece", [b"", b"x"])
async def test_endless_fragments_do_not_stop_the_others(edge, piece):
    """Field S11: a message that never ends, in the smallest pieces."""
    async with peer(edge.url) as bad, peer(edge.url) as good:
        for client in (bad, good):
            await client.upgrade(command("cat"), (V5, edge.proof))
            await client.hear()
        bad.say(b"\x00", BINARY, first=0)
        for turn in range(20):
            bad.send(frame(piece, 0, first=0) * 2000)
            good.say(b"\x00%d" % turn)
            async with asyncio.timeout(10):
                while await good.hear() != (BINARY, b"\x01%d" % turn):
                    pass
        bad.say(b"!", 0)
        heard = b""
        while not heard.endswith(b"!"):
            heard += (await bad.hear())[1][1:]
        assert heard == piece * 40_000 + b"!"


async def test_a_client_still_uploading_when_the_command_ends_hears_how(edge):
    """An RST would cost it the Status."""
    async with peer(edge.url) as client:
        await client.upgrade(command("true"), (V5, edge.proof))
        for _ in range(32):
            client.say(b"\x00" + bytes(MIB))
        heard = await client.rest()
        assert status(heard)["status"] == "Success"
        async with asyncio.timeout(5):
            assert await client.reader.read() == b""


@pytest.mark.parametrize("row", [V5, OWN])
async def test_a_client_that_never_answers_the_close_is_left(edge_with, row):
    edge = await edge_with(Limits(close=0.2))
    for path in (command("true"), command("true", streams=())):  # ended, and refused in band
        async with peer(edge.url) as client, asyncio.timeout(10):
            answer = await client.upgrade(path, (row, edge.proof))
            if answer.code != 101:
                continue
            while (await client.hear())[0] != CLOSE:
                pass
            assert await client.reader.read() == b""


async def test_a_client_that_broke_the_rules_is_not_waited_for(edge):
    """It neither answers the close nor goes away."""
    async with peer(edge.url) as client:
        await client.upgrade(command("cat"), (V5, edge.proof))
        client.say(b"x", 3)
        await edge.idle(10)
        async with asyncio.timeout(10):
            assert (await client.reader.read()).endswith(
                b"\x03\xea" + b"the client broke the rules of WebSocket"
            )


async def test_close_and_end_may_meet(logged, edge):
    """At every moment around the end: no defect, nothing left, an outcome for each."""
    for turn in range(60):
        async with peer(edge.url) as client:
            await client.upgrade(command("echo", "x"), (V5, edge.proof))
            for _ in range(turn % 20):
                await asyncio.sleep(0.001)
            await leave(client, ("close", "fin", "reset")[turn // 20])
    await edge.idle()

    assert sum(edge.outcomes().values()) == 60
    assert set(edge.outcomes()) <= {"exited", "client_closed", "client_lost"}
    assert "defect" not in logged()
    assert "Traceback" not in logged()


@pytest.mark.parametrize("count", [40, again(200)])
async def test_many_open_at_once(edge_with, count):
    edge = await edge_with(Limits(sessions_per_identity=0))

    async def one(number):
        async with peer(edge.url) as client:
            await client.upgrade(command("cat"), (V5, edge.proof))
            client.say(b"\x00%d" % number)
            client.say(b"\xff\x00")
            heard = await client.rest()
            assert (BINARY, b"\x01%d" % number) in heard
            assert status(heard)["status"] == "Success"

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(number))
    await edge.idle()
    assert edge.outcomes() == {"exited": count}


@pytest.mark.parametrize("count", [12, again(40)])
async def test_many_open_at_once_on_the_chain(gateway, count):
    """More than one connection to the host has channels for."""
    access = Access(gateway.url, TOKEN)

    async def one(number):
        said = await run(access, Request(("echo", str(number))), seconds=30)
        assert (said.stdout, said.status.exit_code) == (b"%d\n" % number, 0)

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(number))


# the gateway or the backend fails


@pytest.mark.parametrize("row", [V5, OWN])
@pytest.mark.parametrize("how", ["defect", "late"])
async def test_a_defect_ends_its_own_session_alone(logged, edge, how, row):
    """Told as gateway_error, without its words; the log has them."""
    async with peer(edge.url) as other, peer(edge.url) as client:
        await other.upgrade(command("cat"), (V5, edge.proof))
        await other.hear()
        await client.upgrade(command(how), (row, edge.proof))
        said = status(await client.rest())
        other.say(b"\x00alive")
        assert await other.hear() == (BINARY, b"\x01alive")

    assert said["code"] == 500
    assert "gateway_error" in said["message"]
    assert "bug" not in said["message"]
    assert "LookupError" in logged()


@pytest.mark.parametrize("row", [V5, OWN])
async def test_a_defect_in_the_attachment_is_told_too(monkeypatch, logged, edge, row):
    def broken(_):
        raise LookupError("a bug")

    monkeypatch.setattr(edge.gateway.metrics, "ignored", broken)
    async with peer(edge.url) as client:
        await client.upgrade(command("cat"), (row, edge.proof))
        client.say(b"\x2ax")
        said = status(await client.rest())

    assert "gateway_error" in said["message"]
    await edge.idle()
    assert edge.outcomes() == {"gateway_error": 1}
    assert "attachment_defect" in logged()


async def test_a_hop_that_refuses_is_named(edge):
    async with peer(edge.url) as client:
        await client.upgrade(command("refuse"), (OWN, edge.proof))
        heard = await client.rest()

    assert "ssh: no login (ssh_refused)" in status(heard)["message"]
    assert json.loads(heard[-3][1][1:])["hop"] == "ssh"


async def test_a_backend_that_hangs_holds_nothing_up(edge):
    """Neither the reader nor the stop of the gateway."""
    async with peer(edge.url) as client:
        await client.upgrade(command("never"), (V5, edge.proof))
        client.say(b"\x00typed early")
        client.say(b"alive?", PING)
        while (await client.hear())[0] != PONG:
            pass
        await edge.gateway.registry.stop()
        said = status(await client.rest())

    assert (said["reason"], said["code"]) == ("ServiceUnavailable", 503)


async def test_what_comes_after_the_stop_is_refused(edge):
    await edge.gateway.registry.stop()

    async with peer(edge.url) as client:
        assert (await client.upgrade(command("cat"), (V5, edge.proof))).status["code"] == 503
    async with peer(edge.url) as client:
        await client.upgrade(command("cat"), (OWN, edge.proof))
        assert json.loads((await client.rest())[0][1][1:])["code"] == "shutdown"


async def test_a_session_that_was_just_admitted_hears_of_the_stop(edge):
    """The upgrade lies between the two; its slot is reserved once more when its pod is known."""
    quota = edge.gateway.registry.quota
    reserve, times = quota.reserve, []

    def late(*what):
        slot = reserve(*what)
        times.append(what)
        edge.gateway.registry.stopping = len(times) == 2
        return slot

    quota.reserve = late
    async with peer(edge.url) as client:
        await client.upgrade(command("cat"), (V5, edge.proof))
        said = status(await client.rest())

    assert said["code"] == 503


async def test_every_outcome_can_be_told(edge):
    """As a Status and as our own end: nothing that a hop may say breaks the edge."""
    from gateway.protocol.outcome import Outcome

    for code in CODES:
        async with peer(edge.url) as client:
            await client.upgrade(command("cat"), (OWN, edge.proof))
            await edge.backend.until(running=1)
            next(iter(edge.gateway.registry.sessions)).end(
                Outcome(code, "\x1b[2J\ud800 words", exit_code=3 if code == "exited" else None)
            )
            heard = await client.rest()
        status(heard)
        assert json.loads(heard[-3][1][1:])["code"] == code
        await edge.idle()
