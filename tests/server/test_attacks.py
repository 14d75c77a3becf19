"""What a client without a credential may hold, and what it takes from others: nothing.

Field S11 (memory), S13 (slow clients); ten thousand idle ones, heads without an end.
"""

import asyncio
import os
import pwd
import socket
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from support.peer import OWN, PING, PONG, V5, exchange, once, peer
from support.repeated import again
from support.waiting import until

from gateway import fd_limits
from gateway.server import connection, connections
from gateway.server.app import MAX_FIELDS
from gateway.server.routes import page
from gateway.settings.config import Limits

POD = "/api/v1/namespaces/default/pods/web-0"
CAT = f"{POD}/exec?command=cat&stdin=1&stdout=1"
INFO = "/gateway/v1/info"
PODS = "/api/v1/namespaces/default/pods/big"
UNREAD = 'dap_refused_total{code="unread"}'
MIB = 1 << 20
pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def crowd(edge, count, said=b""):
    """So many connections, each of which has sent `said`."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            found.append(await stack.enter_async_context(peer(edge.url)))
            if said:
                found[-1].send(said)
        yield found


async def idle(edge, stack):
    """A connection that says nothing."""
    where = urlsplit(edge.url)
    one = stack.enter_context(socket.socket())
    one.setblocking(False)
    await asyncio.get_running_loop().sock_connect(one, (where.hostname, where.port))


def asked(client, edge, path):
    """A request's bytes."""
    return exchange("GET", path, (("Host", client.host), edge.proof))[1]


@pytest.fixture
def ticks(monkeypatch):
    """Connections are looked at often."""
    monkeypatch.setattr(connections, "TICK", 0.05)


async def works(edge):
    """Somebody with a credential opens a session and is answered."""
    async with peer(edge.url) as client:
        assert (await client.upgrade(CAT, (V5, edge.proof))).code == 101
        await client.hear()
        client.say(b"\0hello")
        assert (await client.hear())[1] == b"\1hello"


def limits(**some):
    return Limits(**{"anonymous": 20, "anonymous_per_address": 20, **some})


# numbers


@pytest.mark.parametrize("count", [700, again(2000)])
async def test_many_idle_connections_take_nothing_from_who_has_a_credential(edge, count):
    """More than there may be of one address."""
    async with peer(edge.url) as old:
        assert (await old.ask("GET", INFO, (edge.proof,))).code == 200
        with ExitStack() as stack:
            for _ in range(count):
                await idle(edge, stack)
            assert (await old.ask("GET", INFO, (edge.proof,))).code == 200
            await works(edge)
    refused = edge.metric('dap_refused_total{code="too_many_anonymous"}')
    assert refused >= count - Limits().anonymous_per_address


async def test_the_oldest_goes_and_is_told_why(edge_with):
    edge = await edge_with(limits())
    async with crowd(edge, 21) as everybody:
        async with asyncio.timeout(5):
            answer = await everybody[0].answer()
            assert (answer.code, answer.status["message"]) == (
                503, "too many connections without a credential: try again",
            )  # fmt: skip
            assert await everybody[0].reader.read() == b""
        for one in everybody[1:]:
            assert (await one.ask("GET", "/healthz")).code == 200


async def test_who_has_shown_a_credential_is_not_counted(edge_with):
    """Nor is the Unix socket."""
    edge = await edge_with(limits(anonymous=2))
    async with AsyncExitStack() as stack:
        known = [await stack.enter_async_context(peer(edge.url)) for _ in range(2)]
        known += [await stack.enter_async_context(peer(edge.socket)) for _ in range(10)]
        for one in known:
            assert (await one.ask("GET", INFO, (edge.proof,))).code == 200
        async with crowd(edge, 6):
            for one in known:
                assert (await one.ask("GET", INFO, (edge.proof,))).code == 200


async def test_a_wrong_token_is_no_credential(edge_with):
    edge = await edge_with(limits(anonymous=3))
    async with crowd(edge, 3) as guessing:
        for one in guessing:
            assert (await one.ask("GET", INFO, (("Authorization", "Bearer wrong"),))).code == 401
        async with crowd(edge, 3), asyncio.timeout(5):
            for one in guessing:
                assert (await one.answer()).code == 503


# heads


@pytest.mark.usefixtures("ticks")
async def test_a_head_has_its_time(edge_with):
    edge = await edge_with(limits(head=0.3))
    began = b"GET /healthz HTTP/1.1\r\nHost"
    async with crowd(edge, 2, began) as (slow, late), peer(edge.url) as silent, peer(edge.socket) as local:
        late.send(f": {late.host}\r\n\r\n".encode())
        assert (await late.answer()).code == 200
        async with asyncio.timeout(5):
            for one in (slow, silent, local):
                assert (await one.answer()).code == 408
        assert (await late.ask("GET", "/healthz")).code == 200, "between two requests it may wait"
        late.send(b"GET /")
        async with asyncio.timeout(5):
            assert (await late.answer()).code == 408


async def test_heads_of_eight_mebibytes_are_not_kept(edge, monkeypatch):
    """A hundred times; nobody reads on after the limit."""
    monkeypatch.setattr(connection, "MAX_HEAD", 256 << 10)
    line = b"x-filler: " + b"y" * 60_000 + b"\r\n"

    async def send_head():
        async with peer(edge.url) as client:
            client.send(b"GET / HTTP/1.1\r\n")
            sent = 0
            with suppress(ConnectionError):
                while sent < 8 * MIB and not client.reader.at_eof():
                    client.send(line)
                    sent += len(line)
                    await client.writer.drain()
            return sent

    async with asyncio.TaskGroup() as tasks:
        heads = [tasks.create_task(send_head()) for _ in range(100)]
        await works(edge)
    assert max(head.result() for head in heads) < 8 * MIB
    assert edge.metric('dap_refused_total{code="head_too_large"}') > 0


async def test_unfinished_heads_have_so_many_bytes_in_all(edge_with):
    """The oldest that holds some goes."""
    edge = await edge_with(limits(anonymous_bytes=MIB))
    said = b"GET /?" + b"a" * (300 << 10)
    async with peer(edge.url) as silent, crowd(edge, 4, said), asyncio.timeout(5):
        await until(lambda: edge.metric('dap_refused_total{code="too_many_anonymous"}') == 1, 5)
        await works(edge)
        assert (await silent.ask("GET", "/healthz")).code == 200


async def test_a_good_client_may_have_sixty_kilobytes_of_arguments_beside_a_crowd(edge):
    argv = "%41" * 60_000
    async with crowd(edge, 600, b"GET /"), peer(edge.url) as client:
        answer = await client.upgrade(f"{POD}/exec?command=true&command={argv}&stdout=1", (V5, edge.proof))
        assert answer.code == 101
        await client.rest()
    assert edge.backend.opened[-1][1].argv == ("true", "A" * 60_000)


async def test_a_query_of_countless_fields_is_not_parsed(edge):
    """A good client has as many words as anybody needs."""
    proof = (V5, edge.proof)
    async with peer(edge.url) as client:
        answer = await client.upgrade(f"{CAT}{'&a=' * 300_000}", proof)
        assert (answer.code, answer.status["message"]) == (414, f"a query has at most {MAX_FIELDS} fields")
        assert (await client.ask("GET", f"/readyz?{'&a=' * 300_000}", proof)).code == 414
        assert (await client.ask("GET", f"/healthz?{'&a=' * 300_000}")).code == 414
        assert (
            await client.upgrade(f"{POD}/exec?stdout=1{'&command=a' * (MAX_FIELDS - 1)}", proof)
        ).code == 101
    assert len(edge.backend.opened[-1][1].argv) == MAX_FIELDS - 1


# answers


@pytest.mark.parametrize("path", [PODS, "/assets/big.js"])
@pytest.mark.usefixtures("ticks")
async def test_an_answer_that_nobody_reads_is_given_up(edge_with, path, monkeypatch, tmp_path):
    """One that is read slowly is not."""
    edge = await edge_with(limits(unread=0.4))
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "big.js").write_bytes(bytes(8 * MIB))
    monkeypatch.setattr(page, "_FILES", tmp_path)
    edge.backend.kube.watches = False  # what is relayed waits for a client that has it in a pager
    edge.backend.kube.objects[PODS] = {"filler": "x" * 8 * MIB}
    async with peer(edge.url, rcvbuf=4096) as unread, peer(edge.url, rcvbuf=4096) as slow:
        unread.writer.transport.pause_reading()
        for one in (unread, slow):
            one.send(asked(one, edge, path) * 2)
        async with asyncio.timeout(10):
            while not edge.metric(UNREAD):
                await slow.reader.readexactly(1 << 10)
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        await slow.reader.readexactly(1 << 15)
    assert edge.metric(UNREAD) == 1


@pytest.mark.usefixtures("ticks")
async def test_output_that_a_client_does_not_read_for_a_while_waits(edge_with):
    """A session has its own way to find out whether somebody is there."""
    edge = await edge_with(limits(unread=0.2))
    async with peer(edge.url, rcvbuf=4096) as client:
        assert (
            await client.upgrade(f"{POD}/exec?command=flood&command=8&stdout=1", (V5, edge.proof))
        ).code == 101
        client.writer.transport.pause_reading()
        await asyncio.sleep(0.8)
        client.writer.transport.resume_reading()
        heard = await client.rest()
    assert sum(len(payload) - 1 for _, payload in heard if payload[:1] == b"\1") == 8 * MIB
    assert not edge.metric(UNREAD)


# WebSockets


async def test_websockets_that_no_session_has_are_counted(edge_with):
    """Those that do not say what they want, and those that were refused and do not close."""
    edge = await edge_with(limits(upgrades_per_identity=4))
    attach, unknown = "/gateway/v1/sessions/none/attach", CAT.replace("web-0", "UPPER")
    async with crowd(edge, 4) as waiting:
        for one, path in zip(waiting, (attach, attach, unknown, unknown), strict=True):
            assert (await one.upgrade(path, (OWN, edge.proof))).code == 101
        for path, row in ((attach, OWN), (CAT, OWN), (CAT, V5)):
            async with peer(edge.url) as more:
                answer = await more.upgrade(path, (row, edge.proof))
                assert (answer.code, answer.status["reason"]) == (429, "TooManyRequests")
        await waiting[2].rest()
        await waiting[2].reader.read()
        await works(edge)


async def test_half_sent_messages_have_so_many_bytes_in_all(edge_with):
    """The largest goes; one that is whole may be as large as in a cluster."""
    edge = await edge_with(limits(messages=8 * MIB))
    part = bytes(3 * MIB)
    async with crowd(edge, 3) as holding, peer(edge.url) as good:
        for one in (*holding, good):
            assert (await one.upgrade(CAT, (V5, edge.proof))).code == 101
            await one.hear()
        largest, *others = holding
        largest.say(part + bytes(MIB), first=0)  # and no end
        largest.say(b"x", PING)
        assert await largest.hear() == (PONG, b"x")
        for one in others:
            one.say(part, first=0)
        with suppress(ConnectionError):
            assert await largest.reader.read() == b""
        for _ in range(3):
            good.say(b"\0" + bytes(MIB))
        heard = 0
        while heard < 3 * MIB:
            heard += len((await good.hear())[1]) - 1
        assert edge.metric('dap_refused_total{code="half_received"}') == 1
        for one in others:
            one.say(b"", 0)
            kind = PING
            while kind in (PING, PONG):  # the gateway asks, where it has heard nothing for a while
                kind, heard = await one.hear()
            assert heard[:1] == b"\1"


# descriptors


async def test_a_connection_costs_no_look_at_all_descriptors(edge, monkeypatch):
    looks = []
    found = os.listdir
    monkeypatch.setattr(fd_limits.os, "listdir", lambda path: looks.append(path) or found(path))
    began = asyncio.get_running_loop().time()
    for _ in range(50):
        assert (await once(edge.url, "GET", "/healthz")).code == 200
    assert len(looks) <= 2 + asyncio.get_running_loop().time() - began


async def test_nothing_is_left_of_connections_that_were_closed(edge):
    before = fd_limits.used()
    async with crowd(edge, 300, b"GET /"):
        pass
    await until(lambda: fd_limits.used() <= before, 5)


# the event loop


async def test_who_asks_on_the_unix_socket_is_looked_up_once(edge, monkeypatch):
    """Where users come from a directory, each look may take its time."""
    looks, found = [], pwd.getpwuid
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: looks.append(uid) or found(uid))
    for _ in range(5):
        assert (await once(edge.socket, "GET", INFO)).code == 200
    assert len(looks) <= 1
