"""What no client may do to the API through the gateway: paths, lengths and upgrades that two hops could read in two ways."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from support.peer import once
from support.peer import peer as connected
from support.upstream import Upstream, ok, said
from support.waiting import until
from test_relayed_api import POD, UPGRADE

from gateway.backends.kube.api import RelayApi
from gateway.errors import HopFailed

PODS = "/api/v1/namespaces/default/pods"
MIB = 1 << 20


async def raw(edge, text, *, end=False):
    """Sends the bytes as they are, with the gateway's Host and a credential, and returns the beginning of the answer."""
    async with connected(edge.url) as peer:
        name, value = edge.proof
        lines = f"Host: {peer.host}\r\n{name}: {value}\r\n".encode()
        peer.send(text.replace(b"HOST\r\n", lines, 1))
        if end:
            peer.writer.write_eof()
        return await asyncio.wait_for(peer.reader.read(4096), 5)


PATHS = [
    "/api/v1/../../x", "/api/v1/%2e%2e/x", "/api/v1/%2E./x", "/api/v1/./nodes", "/api/%2e/v1", "/api/v1/pods%2fx",
    "/api/v1/pods%5Cx", "/api/v1/pods\\x", "/api//v1", "//api/v1", "/api/v1//", "/api/v1/nodes;x=1", "/api/v1/..;/x",
    "/api/v1/%3b/x", "/api/v1/a%00b", "/api/v1/a%zz", "/api/v1/%ff", "/api/v1/a%20b", "/api/v1/a%0d%0ab",
    "/clusters/default/api/v1/../x", "/clusters/default%2fapi/v1", "/api/v1/" + "a" * 9000, "/%61pi/v1/%2e%2e/x",
    "/api/v1/nodes#x", "/api/v1/pods?limit=1#&watch=1",
]  # fmt: skip


async def test_a_path_that_hops_could_read_differently_is_refused(subtests, edge, upstream):
    for path in PATHS:
        with subtests.test(path[:60]):
            answer = await raw(edge, f"GET {path} HTTP/1.1\r\nHOST\r\n\r\n".encode())

            assert answer.split(b" ")[1] in (b"400", b"404"), answer
            assert upstream.heads == []


async def test_an_absolute_uri_is_taken_for_its_path_or_refused(edge, upstream):
    answer = await raw(edge, b"GET http://elsewhere.test/api/v1/nodes HTTP/1.1\r\nHOST\r\n\r\n")

    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 ", b"HTTP/1.1 403 ", b"HTTP/1.1 404 ")), answer
    assert b"elsewhere" not in b"".join(upstream.heads)


HEADS = [
    b"Content-Length: 2\r\nContent-Length: 3\r\n",
    b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Content-Length: +2\r\n",
    b"Content-Length: 0x2\r\n",
    b"Content-Length: 2, 2\r\n",
    b"Content-Length: -1\r\n",
    b"X-A: 1\r\n folded: 2\r\nContent-Length: 2\r\n",
    b"X-A: 1\nContent-Length: 2\r\n",
    b"X-A: 1\rContent-Length: 2\r\n",
    b"X-A: a\x00b\r\nContent-Length: 2\r\n",
    b"X A: 1\r\nContent-Length: 2\r\n",
    b": 1\r\nContent-Length: 2\r\n",
    b"Connection: authorization\r\nContent-Length: 2\r\n",
    b"Connection: close, Content-Length\r\nContent-Length: 2\r\n",
    b"Connection: impersonate-user\r\nContent-Length: 2\r\n",
]


async def test_a_head_that_hops_could_read_differently_is_refused(subtests, edge, upstream):
    for lines in HEADS:
        with subtests.test(str(lines)):
            answer = await raw(edge, b"POST %s HTTP/1.1\r\nHOST\r\n%s\r\n{}" % (PODS.encode(), lines))

            assert answer.split(b" ")[1] == b"400", answer
            assert upstream.heads == []


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhel",
        b"5\r\nhello",
        b"5\r\nhelloXX0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"5\nhello\n0\n\n",
    ],
)
async def test_chunks_that_stop_or_are_wrong_are_not_completed(edge, upstream, body):
    took = []

    async def take(_, reader, __):
        while part := await reader.read(4096):
            took.append(part)

    upstream.answer = take
    head = b"POST %s HTTP/1.1\r\nHOST\r\nTransfer-Encoding: chunked\r\n\r\n" % PODS.encode()
    await raw(edge, head + body, end=True)

    await upstream.until_open(0)
    assert not b"".join(took).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("body", [b"5\r\nhelloXX0\r\n\r\n", b"zz\r\n"])
async def test_wrong_chunks_end_the_request_while_the_client_stays(edge, upstream, body, at_once):
    async def take(_, reader, __):
        while await reader.read(4096):
            pass

    upstream.answer = take
    with capture_logs() as logs:
        async with connected(edge.url) as peer:
            name, value = edge.proof
            head = f"POST {PODS} HTTP/1.1\r\nHost: {peer.host}\r\n{name}: {value}\r\nTransfer-Encoding: chunked\r\n\r\n"
            peer.send(head.encode() + b"2\r\nhi\r\n")
            if not at_once:
                await upstream.until_open(1)
            peer.send(body)
            answer = await asyncio.wait_for(peer.reader.read(), 5)

    assert (answer.split(b" ")[1], answer.count(b"HTTP/1.")) == (b"400", 1), answer
    await upstream.until_open(0)
    assert edge.gateway.relayed.credentials() == set()
    assert [log for log in logs if log["log_level"] == "error"] == []


@pytest.mark.parametrize("path", ["/api/v1/nodes", "/version", "/apis/apps/v1/deployments?watch=1"])
async def test_an_upgrade_on_a_path_that_has_none_gets_the_clusters_answer(edge, upstream, path):
    upstream.answer = upstream.version = ok
    async with connected(edge.url) as peer:
        found = await peer.ask("GET", path, (edge.proof, *UPGRADE))
        again = await peer.ask("GET", "/api/v1/nodes", (edge.proof,))  # the connection speaks HTTP still

    assert (found.code, found.body, again.code) == (200, b"{}", 200)


@pytest.mark.parametrize("path", ["/gateway/v1/info", "/gateway/v1/sessions", "/healthz", "/nope"])
async def test_an_upgrade_on_a_path_of_the_gateways_own_is_none(edge, upstream, path):
    async with connected(edge.url) as peer:
        found = await peer.ask("GET", path, (edge.proof, *UPGRADE))

    assert found.code == (404 if path == "/nope" else 200)
    assert upstream.heads == []


async def test_a_101_that_nobody_asked_for_is_no_upgrade(edge, upstream):
    upstream.answer = said(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
    )

    found = await asyncio.wait_for(once(edge.url, "GET", "/api/v1/nodes", (edge.proof,)), 5)

    assert found.code >= 500


class Down(Upstream):
    """An API server that is not reached."""

    def __init__(self, path, error):
        super().__init__(path)
        self.error = error

    @asynccontextmanager
    async def connection(self):
        raise self.error
        yield


@pytest.mark.parametrize(
    ("code", "http"), [("ssh_unreachable", 503), ("cluster_unreachable", 503), ("relay_failed", 500)]
)
async def test_a_way_that_is_down_is_a_status_that_names_the_hop(edge, tmp_path, code, http):
    error = HopFailed(code, "nobody is there")
    api = RelayApi(Down(tmp_path, error), lambda: None)
    async with api.running():
        edge.backend.kube = api
        found = await asyncio.wait_for(once(edge.url, "GET", POD, (edge.proof,)), 5)

    assert found.status["code"] == http
    assert str(error.outcome().hop) in found.status["message"]


async def test_a_connection_that_the_upstream_has_closed_while_idle_is_not_used(edge, upstream):
    writers = []

    async def note(head, reader, writer):
        writers.append(writer)
        await ok(head, reader, writer)

    upstream.answer = note
    async with connected(edge.url) as peer:
        assert (await peer.ask("GET", POD, (edge.proof,))).code == 200
        assert (await peer.ask("GET", POD, (edge.proof,))).code == 200
        assert writers[0] is writers[1]  # one connection for both
        writers[0].close()
        await upstream.until_open(0)
        await asyncio.sleep(0.05)  # the gateway reads the end
        lines = (edge.proof, ("Content-Length", "2"))
        assert (await peer.ask("POST", PODS, lines, body=b"{}")).code == 200  # sent once, on a fresh one

    assert len(upstream.heads) == 3


async def moved(count):
    """Returns the count once it has stopped to grow."""
    seen = -1
    async with asyncio.timeout(10):
        while seen != (seen := count()) or not seen:  # noqa: ASYNC110  # nothing tells that nothing happens
            await asyncio.sleep(0.1)
    return seen


async def test_a_download_that_nobody_reads_is_not_kept(edge, upstream):
    sent = [0]

    async def flood(_, __, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            sent[0] += 65536
            await writer.drain()

    upstream.answer = flood
    async with connected(edge.url, rcvbuf=4096) as peer:  # else the kernel grows it by as much as it likes
        peer.request("GET", f"{POD}/log", (edge.proof,))
        assert await moved(lambda: sent[0]) < 16 * MIB  # kernels hold most of it
    await upstream.until_open(0, 1.5)


async def test_an_upload_that_nobody_reads_is_not_kept(edge, upstream):
    held, sent = asyncio.Event(), [0]

    async def never(*_):
        await held.wait()

    async def flood(peer):
        while True:
            peer.send(bytes(65536))
            await peer.writer.drain()
            sent[0] += 65536

    upstream.answer = never
    async with connected(edge.url) as peer:
        peer.request("POST", PODS, (edge.proof, ("Content-Length", "99999999999")))
        async with asyncio.TaskGroup() as tasks:
            flooding = tasks.create_task(flood(peer))
            assert await moved(lambda: sent[0]) < 16 * MIB
            flooding.cancel()
        peer.reset()
    await until(lambda: not edge.gateway.relayed.credentials(), 1.5)
    held.set()
