"""Sessions that pass as bytes: they are listed, counted, limited, ended and logged like all others."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from support.peer import once
from support.peer import peer as connected
from support.upstream import ok, said, upstream_at
from support.waiting import until
from test_relayed_api import CHUNKED, POD, SWITCHED, UPGRADE, echo
from test_sessions import kill, listed, page

from gateway.access.identity import Identity, owner
from gateway.protocol.target import Target
from gateway.sessions.recording import Recording
from gateway.settings.config import Limits

EXEC = f"{POD}/exec?command=sh&command=-c&command=date&container=app&stdout=1"
SOON = 5.0  # seconds from a revocation to the end


@asynccontextmanager
async def passed(edge, upstream, path=EXEC, proof=None, upgrade=UPGRADE, answer=echo):
    """A client whose connection passes as bytes."""
    upstream.answer = answer
    async with connected(edge.url) as peer:
        peer.request("POST", path, (proof or edge.proof, *upgrade, ("Content-Length", "0")))
        assert (await peer.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await peer.reader.readexactly(5) == b"first"
        yield peer


async def gone(edge):
    """Waits until no session passes as bytes."""
    await until(lambda: not edge.gateway.relayed.sessions.live, 3)


def events(logged, name):
    lines = [json.loads(line) for line in logged().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


async def test_a_client_may_be_gone_when_the_cluster_ends(edge, upstream):
    """Its reset is not read before that, behind much that the cluster has not taken."""
    ends = asyncio.Event()

    async def answer(_, reader, writer):
        writer.write(SWITCHED + b"first")
        await ends.wait()
        writer.write_eof()
        await one.over
        while await reader.read(1 << 20):
            pass

    with capture_logs() as logs:
        async with passed(edge, upstream, answer=answer) as peer:
            peer.send(b"x" * (8 << 20))
            (one,) = edge.gateway.relayed.sessions.live
            before = -1
            while before != one.bytes_in:  # nobody takes more
                before = one.bytes_in
                await asyncio.sleep(0.2)
            peer.reset()
            ends.set()
            await gone(edge)

    assert one.outcome.code == "stream_ended"
    assert [log for log in logs if log["log_level"] == "error"] == []


@pytest.mark.parametrize(
    ("path", "upgrade", "kind", "command"),
    [
        (EXEC, UPGRADE, "exec (SPDY)", ["sh", "-c", "date"]),
        (f"{POD}/attach?container=app&stdin=1", UPGRADE, "attach (SPDY)", None),
        (f"{POD}/portforward", UPGRADE, "port-forward", None),
        ("/api/v1/namespaces/default/pods/web-0/proxy/ws", UPGRADE, "proxy (SPDY)", None),
    ],
)
async def test_it_is_listed_while_it_lives(edge, upstream, path, upgrade, kind, command):
    async with passed(edge, upstream, path, upgrade=upgrade) as peer:
        peer.send(b"x" * 300)
        await peer.reader.readexactly(300)
        (row,) = await listed(edge)
        assert edge.metric('dap_sessions_open{cluster="default"}') == 1
    await gone(edge)

    assert (row["kind"], row["command"], row["pod"], row["in"], row["out"]) == (
        kind,
        command,
        "web-0",
        300,
        305,
    )
    assert (row["attached"], row["resumable"], row["container"]) == (
        True,
        False,
        "app" if "app" in path else None,
    )
    assert await listed(edge) == []
    assert edge.metric('dap_sessions_open{cluster="default"}') == 0
    assert edge.outcomes() == {"client_closed": 1}


async def test_it_is_ended_by_its_name_and_by_its_owner_alone(edge, upstream, logged):
    ann = page(edge, "ann")
    async with passed(edge, upstream, proof=ann) as peer:
        (row,) = await listed(edge, ann)
        assert (await kill(edge, row["name"], proof=page(edge, "bob"))).code == 404
        assert (await kill(edge, row["name"], "?reason=enough", proof=ann)).code == 204
        assert await listed(edge) == []
        assert await asyncio.wait_for(peer.reader.read(), 5) == b""
    await upstream.until_open(0)

    assert edge.outcomes() == {"killed": 1}
    (opened,), (closed,) = events(logged, "session_opened"), events(logged, "session_closed")
    assert (opened["session"], opened["identity"], opened["kind"]) == (row["name"], "ann", "exec (SPDY)")
    assert len(opened["argv_sha256"]) == 64
    assert "argv" not in opened
    assert (closed["session"], closed["outcome"], closed["bytes_out"]) == (row["name"], "killed", 5)
    assert closed["message"] == "ended by ann: enough"


async def test_it_counts_against_the_limits(edge_with, tmp_path):
    edge = await edge_with(Limits(sessions_per_identity=1))
    async with upstream_at(tmp_path / "api.sock") as (upstream, api):
        edge.backend.kube = api
        async with passed(edge, upstream):
            lines = (edge.proof, *UPGRADE, ("Content-Length", "0"))
            found = await once(edge.url, "POST", f"{POD}/portforward", lines)
            upstream.answer = ok
            assert (await once(edge.url, "GET", POD, (edge.proof,))).code == 200  # a read is no session
        await gone(edge)
        async with passed(edge, upstream):
            pass

    assert found.status["code"] == 429
    assert "too_many_sessions" in found.status["message"]


async def test_an_upgrade_that_is_answered_otherwise_is_no_session(edge, upstream):
    upstream.answer = said(CHUNKED)
    async with connected(edge.url) as peer:
        peer.request(
            "GET", "/api/v1/pods?watch=true", (edge.proof, ("Connection", "Upgrade"), ("Upgrade", "h2c"))
        )
        await peer.reader.readuntil(b"\r\n\r\n")
        assert await listed(edge) == []
        assert edge.gateway.registry.quota.sessions == 0


@pytest.mark.parametrize("how", ["portforward", "watch", "log"])
async def test_it_ends_with_the_credential(edge, upstream, how):
    ann = page(edge, "ann")
    paths = {"watch": "/api/v1/pods?watch=true", "log": f"{POD}/log?follow=true"}
    async with connected(edge.url) as peer:
        if how in paths:
            upstream.answer = said(CHUNKED)
            peer.request("GET", paths[how], (ann,))
        else:
            upstream.answer = echo
            peer.request("POST", f"{POD}/portforward", (ann, *UPGRADE, ("Content-Length", "0")))
        await peer.reader.readuntil(b"\r\n\r\n")
        assert (await once(edge.url, "DELETE", "/gateway/v1/token", (ann,))).code == 204
        assert not (await asyncio.wait_for(peer.reader.read(), SOON)).endswith(b"0\r\n\r\n")
    await upstream.until_open(0)

    assert edge.outcomes() == ({} if how in paths else {"access_revoked": 1})


async def test_what_another_credential_opened_goes_on(edge, upstream):
    ann, other = page(edge, "ann"), page(edge, "ann")
    async with passed(edge, upstream, proof=other) as peer, passed(edge, upstream, proof=ann) as ended:
        assert (await once(edge.url, "DELETE", "/gateway/v1/token", (ann,))).code == 204
        assert await asyncio.wait_for(ended.reader.read(), SOON) == b""
        peer.send(b"still here")
        assert await peer.reader.readexactly(10) == b"still here"


async def test_it_ends_with_the_gateway_and_the_log_says_so(edge, upstream, logged):
    async with passed(edge, upstream) as peer:
        edge.gateway.relayed.end_all()
        assert await asyncio.wait_for(peer.reader.read(), 5) == b""
        await gone(edge)

    (closed,) = events(logged, "session_closed")
    assert (closed["outcome"], closed["hop"]) == ("shutdown", "gateway")


async def test_the_clusters_end_is_told_apart_from_the_clients(edge, upstream):
    async def short(_, __, writer):
        writer.write(SWITCHED + b"first")
        writer.close()

    async with passed(edge, upstream):
        pass
    await gone(edge)
    upstream.answer = short
    async with connected(edge.url) as peer:
        peer.request("POST", EXEC, (edge.proof, *UPGRADE, ("Content-Length", "0")))
        assert (await asyncio.wait_for(peer.reader.read(), 8)).endswith(b"first")
    await gone(edge)

    assert edge.outcomes() == {"client_closed": 1, "stream_ended": 1}


# the container, where a link is good for one alone


def pod(*containers):
    body = {
        "kind": "Pod", "metadata": {"name": "web-0", "namespace": "default"},
        "spec": {"nodeName": "node-1", "containers": [{"name": name} for name in containers]}, "status": {"phase": "Running"},
    }  # fmt: skip
    raw = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(raw),
        raw,
    )


@pytest.mark.parametrize(
    ("query", "containers", "code"),
    [
        ("command=ls&stdout=1", ("app",), 101),
        ("command=ls&stdout=1", ("other",), 403),
        ("command=ls&stdout=1", ("app", "other"), 400),
        ("command=ls&stdout=1&container=app", ("app", "other"), 101),
        ("command=ls&stdout=1&container=other&container=app", ("app", "other"), 403),
        ("command=ls&stdout=1#&container=sidecar", ("app",), 400),  # Go reads on behind it
    ],
)
async def test_the_container_is_known_before_the_policy_is_asked(edge, upstream, query, containers, code):
    async def answer(head, reader, writer):
        if head.startswith(b"POST"):
            await echo(head, reader, writer)
        else:
            await said(pod(*containers))(head, reader, writer)

    upstream.answer = answer
    tokens = edge.gateway.access.tokens
    only = Identity("ann", "page", only=Target("default", "default", "web-0", "app"))
    token, _ = tokens.trade(tokens.ticket(only))
    lines = (("Authorization", f"Bearer {token}"), *UPGRADE, ("Content-Length", "0"))
    async with connected(edge.url) as peer:
        peer.request("POST", f"{POD}/exec?{query}", lines)
        head = await asyncio.wait_for(peer.reader.readuntil(b"\r\n\r\n"), 5)

    assert head.startswith(b"HTTP/1.1 %d " % code), head
    assert any(one.startswith(b"POST") for one in upstream.heads) is (code == 101)


# what a setting switches off


@pytest.mark.parametrize(
    "where",
    [EXEC, f"{POD}/attach?stdin=1", "/api/v1/nodes/n1/proxy/exec/a/b/c", f"{POD}/exec/?command=a&stdin=1"],
)
async def test_spdy_can_be_switched_off(edge_with, tmp_path, where):
    edge = await edge_with(spdy_exec=False)
    async with upstream_at(tmp_path / "api.sock") as (upstream, api):
        edge.backend.kube = api
        found = await once(edge.url, "POST", where, (edge.proof, *UPGRADE, ("Content-Length", "0")))
        assert upstream.heads == []
        async with passed(edge, upstream, f"{POD}/portforward"):
            pass

    assert (found.status["code"], found.status["reason"]) == (403, "Forbidden")
    assert "spdy_exec" in found.status["message"]


# the seam of a recording


class Records(Recording):
    """Keeps everything, in order."""

    def __init__(self):
        self.took = []
        self.patches = []

    def stream(self, session):
        self.took.append(("open", session.kind))
        return self

    def from_client(self, data):
        self.took.append(("in", data))

    def from_cluster(self, data):
        self.took.append(("out", data))

    def close(self):
        self.took.append(("close", None))

    def debug_container(self, identity, target):
        self.patches.append((identity.name, str(target)))
        return self.patches.append


async def test_a_recording_gets_the_bytes_of_commands_in_order(edge, upstream):
    edge.gateway.relayed.sessions.recording = records = Records()
    async with passed(edge, upstream, f"{POD}/portforward"):
        pass
    await gone(edge)
    assert records.took == []
    async with passed(edge, upstream) as peer:
        peer.send(b"ask")
        await peer.reader.readexactly(3)
    await gone(edge)

    assert records.took == [
        ("open", "exec (SPDY)"), ("out", b"first"), ("in", b"ask"), ("out", b"ask"), ("close", None),
    ]  # fmt: skip


async def test_a_recording_gets_the_patch_of_a_debug_container(edge, upstream):
    edge.gateway.relayed.sessions.recording = records = Records()
    body = b"{}" * 100

    async def take(head, reader, writer):
        assert await reader.readexactly(len(body)) == body
        await ok(head, reader, writer)

    upstream.answer = take
    lines = (edge.proof, ("Content-Length", str(len(body))))
    for sub in ("/ephemeralcontainers", ""):
        assert (await once(edge.url, "PATCH", POD + sub, lines, body=body)).code == 200

    whose, *parts, end = records.patches
    assert whose == (owner(), "default/default/web-0")
    assert (b"".join(parts), end) == (body, b"")
