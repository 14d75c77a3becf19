"""The API as it is passed on, in front of an upstream that records every byte."""

import asyncio
import gzip
import json
from asyncio.selector_events import _SelectorSocketTransport

import pytest
from support.peer import exchange, once
from support.peer import peer as connected
from support.upstream import said, upstream_at
from support.waiting import until

from gateway.settings.config import Limits

POD = "/api/v1/namespaces/default/pods/web-0"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "path",
    [
        "/api", "/apis?timeout=32s", "/version?x", "/openapi/v3", f"{POD}?a=%21%7E&b=+%20&a", "/api/v1/nodes",
        "/apis/example.com/v1/x%21y/z~", "/api/v1/namespaces/default/pods?watch=0&labelSelector=a%3Db%2Cc",
    ],
)  # fmt: skip
async def test_the_target_arrives_as_it_was_written(edge, upstream, path):
    await once(edge.url, "GET", path, (edge.proof,))

    if not path.startswith("/version"):
        assert upstream.heads[0].split(b"\r\n")[0] == f"GET {path} HTTP/1.1".encode()


async def test_another_clusters_path_loses_its_name(edge, upstream):
    await once(edge.url, "GET", "/clusters/default/api/v1/nodes?x=%41", (edge.proof,))

    assert upstream.heads[0].split(b"\r\n")[0] == b"GET /api/v1/nodes?x=%41 HTTP/1.1"


async def test_no_credential_goes_on(edge, upstream):
    lines = (
        edge.proof,
        ("Cookie", "a=b"),
        ("X-A", "1"),
        ("X-A", "2"),
        ("Accept", "application/json;as=Table"),
    )

    await once(edge.url, "GET", POD, lines)

    head = upstream.heads[0].lower()
    assert b"bearer" not in head
    assert b"cookie" not in head
    assert b"x-a: 1\r\nx-a: 2\r\naccept: application/json;as=table\r\n" in head
    assert b"accept-encoding: identity" in head


async def test_the_answer_comes_back_as_it_is(edge, upstream):
    body = gzip.compress(b'{"a": 1}') + gzip.compress(b"{}")
    head = (
        f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Encoding: gzip\r\nWarning: 299 - a\r\n"
        f"Warning: 299 - b\r\nContent-Length: {len(body)}\r\nContent-Type: application/vnd.kubernetes.protobuf\r\n\r\n"
    )
    upstream.answer = said(head.encode() + body)

    async with connected(edge.url) as peer:
        peer.request("GET", POD, (edge.proof, ("Accept-Encoding", "gzip")))
        raw = await peer.reader.readuntil(b"\r\n\r\n")
        assert await peer.reader.readexactly(len(body)) == body

    assert raw.startswith(b"HTTP/1.1 429 ")
    for line in (b"retry-after: 1", b"content-encoding: gzip", b"warning: 299 - a\r\nwarning: 299 - b"):
        assert line in raw.lower()


@pytest.mark.parametrize("word", ["Zoë 終".encode(), b"Zo\xeb"], ids=["UTF-8", "Latin-1"])
@pytest.mark.parametrize(
    "upgrade", [b"", b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"], ids=["", "upgrade"]
)
async def test_header_lines_keep_their_bytes_both_ways(edge, upstream, word, upgrade):
    line = b"X-Name: " + word + b"\r\n"
    begun = b"101 Switching Protocols\r\n" + upgrade if upgrade else b"200 OK\r\nContent-Length: 0\r\n"
    upstream.answer = said(b"HTTP/1.1 " + begun + line + b"\r\n")
    name, value = edge.proof
    async with connected(edge.url) as peer:
        own = f"GET {POD}/portforward HTTP/1.1\r\nHost: {peer.host}\r\n{name}: {value}\r\n".encode()
        peer.send(own + upgrade + line + b"\r\n")
        raw = await asyncio.wait_for(peer.reader.readuntil(b"\r\n\r\n"), 5)

    assert b"\r\nx-name: " + word + b"\r\n" in raw.replace(b"X-Name", b"x-name")
    assert b"\r\nx-name: " + word + b"\r\n" in upstream.heads[0].replace(b"X-Name", b"x-name")


async def test_an_answers_trailers_are_dropped_and_its_connection_goes_on(edge, upstream):
    """An intermediary may discard them (RFC 9110, 6.5.1), and no API server sends any."""
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nTrailer: X-Sum\r\n\r\n")
    upstream.answer = said(head + b"2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n")

    async with connected(edge.url) as peer:
        for _ in range(2):
            peer.request("GET", POD, (edge.proof,))
            raw = await peer.reader.readuntil(b"\r\n\r\n")
            assert b"trailer" not in raw.lower()
            assert await peer.reader.readuntil(b"0\r\n\r\n") == b"2\r\n{}\r\n0\r\n\r\n"
    assert len(upstream.heads) == 2
    assert upstream.open == 1


async def test_a_short_answer_is_one_write_to_the_client(edge, upstream, monkeypatch):
    upstream.answer = said(CHUNKED + b"2\r\n{}\r\n0\r\n\r\n")
    written, write = [], _SelectorSocketTransport.write

    def counted(transport, data):
        if b"dap" in data:  # the gateway's own name
            written.append(bytes(data))
        write(transport, data)

    monkeypatch.setattr(_SelectorSocketTransport, "write", counted)
    assert (await once(edge.url, "GET", POD, (edge.proof,))).code == 200
    (answer,) = written
    assert answer.endswith(b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n")


async def test_the_head_comes_before_the_first_event(edge, upstream):
    upstream.answer = said(CHUNKED)

    async with connected(edge.url) as peer:
        peer.request("GET", "/api/v1/pods?watch=true", (edge.proof,))
        head = await asyncio.wait_for(peer.reader.readuntil(b"\r\n\r\n"), 5)

    assert head.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("kind", ["application/apply-patch+yaml", "application/merge-patch+json"])
async def test_a_body_arrives_once_and_whole(edge, upstream, kind):
    body, came = b"x" * 300_000, []

    async def take(_, reader, writer):
        came.append(await reader.readexactly(len(body)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    upstream.answer = take
    lines = (edge.proof, ("Content-Type", kind), ("Content-Length", str(len(body))))

    answer = await once(edge.url, "PATCH", f"{POD}?fieldManager=kubectl&force=false", lines, body=body)

    assert (answer.code, came) == (200, [body])
    assert f"content-type: {kind}".encode() in upstream.heads[0].lower()
    assert f"content-length: {len(body)}".encode() in upstream.heads[0].lower()


async def test_a_body_that_stops_half_way_is_not_completed(edge, upstream):
    came = asyncio.get_running_loop().create_future()

    async def take(_, reader, __):
        came.set_result(await reader.read(10_000))

    upstream.answer = take
    async with connected(edge.url) as peer:
        peer.request("POST", "/api/v1/namespaces/default/pods", (edge.proof, ("Content-Length", "1000")))
        peer.send(b"{")
        await asyncio.wait_for(came, 5)

    await upstream.until_open(0)
    assert len(upstream.heads) == 1


async def test_a_client_that_leaves_ends_its_request(edge, upstream):
    upstream.answer = said(CHUNKED)
    async with connected(edge.url) as peer:
        peer.request("GET", "/api/v1/pods?watch=true", (edge.proof,))
        await peer.reader.readuntil(b"\r\n\r\n")
        assert upstream.open == 1

    await upstream.until_open(0, 1.5)


async def test_a_client_that_leaves_while_its_upload_waits_ends_its_request(edge, upstream):
    held = asyncio.Event()

    async def never(*_):
        await held.wait()

    upstream.answer = never
    async with connected(edge.url) as peer:
        peer.request("POST", "/api/v1/namespaces/default/pods", (edge.proof, ("Content-Length", "99000000")))
        peer.send(b"x" * 300_000)  # more than aiohttp reads ahead, and no more than the kernel takes
        await upstream.until_open(1)

    await until(lambda: not edge.gateway.relayed.credentials(), 3)
    held.set()


async def test_an_answer_that_is_cut_has_no_last_chunk(edge, upstream):
    async def cut(_, __, writer):
        writer.write(CHUNKED + b"2\r\n{}\r\n")
        await writer.drain()
        writer.close()

    upstream.answer = cut
    async with connected(edge.url) as peer:
        peer.request("GET", "/api/v1/pods?watch=true", (edge.proof,))
        rest = await asyncio.wait_for(peer.reader.read(), 5)

    assert rest.endswith(b"2\r\n{}\r\n")


async def test_an_answer_that_is_cut_within_its_length_is_cut_here(edge, upstream):
    async def cut(_, __, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    upstream.answer = cut
    async with connected(edge.url) as peer:
        peer.request("GET", POD, (edge.proof,))
        rest = await asyncio.wait_for(peer.reader.read(), 5)

    assert rest.startswith(b"HTTP/1.1 200 ")
    assert rest.endswith(b"\r\n\r\nhalf")


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            b"HTTP/1.1 500 X\r\nContent-Type: text/plain\r\nContent-Length: 25\r\n\r\ndial tcp: no route to host",
            503,
            "cluster",
        ),
        (b"HTTP/1.1 401 X\r\nContent-Length: 2\r\n\r\n{}", 500, "cluster"),
        (b"", 503, "cluster"),
    ],
)
async def test_what_is_about_the_way_names_the_hop(edge, upstream, answer, code, words):
    async def end(_, __, writer):
        writer.write(answer)
        writer.close()

    upstream.answer = end
    found = await once(edge.url, "GET", POD, (edge.proof,))

    assert found.code == code, found
    assert words in found.status["message"]


async def test_a_services_own_error_passes(edge, upstream):
    upstream.answer = said(
        b"HTTP/1.1 500 X\r\nContent-Type: text/plain\r\nCache-Control: no-cache\r\nContent-Length: 4\r\n\r\noops"
    )

    found = await once(edge.url, "GET", f"{POD}/proxy/", (edge.proof,))

    assert (found.code, found.body) == (500, b"oops")


async def test_redirects_and_cookies_pass(edge, upstream):
    upstream.answer = said(
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    )
    async with connected(edge.url) as peer:
        found = await peer.ask("GET", "/api/v1/namespaces/a/services/b/proxy/", (edge.proof,))
        upstream.answer = said(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await peer.ask("GET", POD, (edge.proof,))

    assert (found.code, found.headers["location"], found.headers["set-cookie"]) == (302, "/elsewhere", "a=b")
    assert b"cookie" not in upstream.heads[1].lower()


async def test_silence_of_all_the_api_is_an_answer_soon(edge, upstream):
    upstream.silent = True

    found = await asyncio.wait_for(once(edge.url, "GET", POD, (edge.proof,)), 8)

    assert found.code == 503
    assert "answered nothing" in found.status["message"]


async def never(_, reader, __):
    await reader.read()


async def test_a_proxy_that_reaches_no_api_server_is_no_answer(edge, upstream):
    upstream.answer = never
    upstream.version = said(
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\nno way\n"
    )

    found = await asyncio.wait_for(once(edge.url, "GET", POD, (edge.proof,)), 8)

    assert found.code == 503
    assert "answered nothing" in found.status["message"]


async def test_a_slow_answer_is_waited_for_and_all_ask_together(edge, upstream):
    async def slow(head, reader, writer):
        await asyncio.sleep(4)
        await said(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(head, reader, writer)

    upstream.answer = slow
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(once(edge.url, "GET", POD, (edge.proof,))) for _ in range(20)]

    assert [one.result().code for one in waiting] == [200] * 20
    assert upstream.versions == 1


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        (POD, (("Impersonate-User", "x"),), 403),
        (POD, (("X-Remote-User", "x"),), 403),
        (POD, (("Connection", "Authorization"),), 400),
        ("/api/v1/../../x", (), 400),
        ("/api/v1/pods%2fx", (), 400),
        ("/api//v1", (), 400),
        ("/clusters/other/api", (), 404),
    ],
)
async def test_what_is_refused_opens_nothing(edge, upstream, path, headers, code):
    found = await once(edge.url, "GET", path, (edge.proof, *headers))

    assert found.status["code"] == code
    assert upstream.heads == []


async def test_without_a_credential_nothing_opens(edge, upstream):
    assert (await once(edge.url, "GET", "/api/v1/nodes")).code == 401
    assert upstream.heads == []


async def test_an_identity_has_a_limit(edge_with, tmp_path):
    edge = await edge_with(Limits(requests_per_identity=1))
    async with upstream_at(tmp_path / "api.sock") as (upstream, api), connected(edge.url) as peer:
        edge.backend.kube = api
        upstream.answer = said(CHUNKED)
        peer.request("GET", "/api/v1/pods?watch=true", (edge.proof,))
        await peer.reader.readuntil(b"\r\n\r\n")
        assert (await once(edge.url, "GET", POD, (edge.proof,))).code == 429


async def test_a_chain_that_cannot_relay_says_what_is_missing(edge):
    edge.backend.kube.watches = False

    found = await once(edge.url, "GET", "/api/v1/nodes", (edge.proof,))

    assert found.code == 404
    assert "python3" in found.status["message"]


UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "SPDY/3.1"),
    ("X-Stream-Protocol-Version", "v4"),
    ("X-Stream-Protocol-Version", "v3"),
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4\r\n\r\n"


async def echo(_, reader, writer):
    writer.write(SWITCHED + b"first")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    "path", [f"{POD}/exec?command=sh&stdin=1", f"{POD}/portforward", f"{POD}/attach?stdout=1"]
)
async def test_an_upgrade_passes_as_bytes(edge, upstream, path):
    upstream.answer = echo
    data = bytes(range(256)) * 4000
    async with connected(edge.url) as peer:
        peer.request("POST", path, (edge.proof, *UPGRADE, ("Content-Length", "0")))
        head = await peer.reader.readuntil(b"\r\n\r\n")
        assert await peer.reader.readexactly(5) == b"first"
        peer.send(data)
        assert await asyncio.wait_for(peer.reader.readexactly(len(data)), 10) == data
        peer.writer.write_eof()
        assert await asyncio.wait_for(peer.reader.read(), 5) == b""

    assert head.lower().startswith(b"http/1.1 101 ")
    assert b"upgrade: spdy/3.1" in head.lower()
    sent = upstream.heads[0].lower()
    assert b"x-stream-protocol-version: v4\r\nx-stream-protocol-version: v3\r\n" in sent
    assert b"connection: upgrade\r\n" in sent
    await upstream.until_open(0)


async def test_an_upgrade_that_is_refused_is_an_answer(edge, upstream):
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403}).encode()
    head = f"HTTP/1.1 403 F\r\nContent-Type: application/json\r\nCache-Control: no-cache\r\nContent-Length: {len(body)}\r\n\r\n"
    upstream.answer = said(head.encode() + body)
    async with connected(edge.url) as peer:
        found = await peer.ask("POST", f"{POD}/portforward", (edge.proof, *UPGRADE, ("Content-Length", "0")))

    assert (found.code, found.body) == (403, body)


async def test_either_side_that_goes_takes_the_other_with_it(edge, upstream):
    upstream.answer = echo
    async with connected(edge.url) as peer:
        peer.request("POST", f"{POD}/portforward", (edge.proof, *UPGRADE, ("Content-Length", "0")))
        await peer.reader.readuntil(b"first")
        assert upstream.open == 1
    await upstream.until_open(0, 1.5)


async def test_bytes_before_the_101_are_refused(edge, upstream):
    async def late(head, reader, writer):
        await asyncio.sleep(0.3)
        await echo(head, reader, writer)

    upstream.answer = late
    async with connected(edge.url) as peer:
        peer.request("POST", f"{POD}/portforward", (edge.proof, *UPGRADE, ("Content-Length", "0")))
        peer.send(b"\x80\x03early")
        head = await asyncio.wait_for(peer.reader.readuntil(b"\r\n\r\n"), 5)

    assert head.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("first", "early"), [(1, b"AB"), (0, b"AB"), (-2, b"AB"), (1, b"A" * 3000), (0, b"\r\n\r\nA"), (1, b"\n\r\n\r\n")]
)  # fmt: skip
async def test_bytes_before_the_101_are_refused_in_any_segments(edge, upstream, monkeypatch, first, early):
    """`first`: how many bytes behind the head come with it; the rest comes by itself, before the request is served."""
    upstream.answer = echo
    async with connected(edge.url) as peer:
        lines = (("Host", peer.host), edge.proof, *UPGRADE, ("Content-Length", "0"))
        _, sent = exchange("POST", f"{POD}/portforward", lines)
        monkeypatch.setattr(_SelectorSocketTransport, "max_size", len(sent) + first)  # of a read
        peer.send(sent + early)
        answer = await asyncio.wait_for(peer.reader.readuntil(b"upgrade was answered"), 5)

    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_an_upgrade_follows_other_requests_on_their_connection(edge, upstream):
    async with connected(edge.url) as peer:
        assert (await peer.ask("GET", POD, (edge.proof,))).code == 200
        lines = (edge.proof, ("Content-Length", "6"))
        assert (await peer.ask("POST", "/api/v1/nodes", lines, body=b"\r\n\r\n{}")).code == 200
        upstream.answer = echo
        peer.request("POST", f"{POD}/portforward", (edge.proof, *UPGRADE, ("Content-Length", "0")))
        assert (await peer.reader.readuntil(b"first")).startswith(b"HTTP/1.1 101 ")
        peer.send(b"rest")
        assert await asyncio.wait_for(peer.reader.readexactly(4), 5) == b"rest"
