"""Connections that begin in the runner: who may open one, what is refused before, and the session that it is."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from support.peer import once
from support.upstream import Bytes
from test_sessions import page

from gateway.client.curl.failure import CurlFailed
from gateway.client.curl.transfer import Asked, fetched
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import GatewayFailed
from gateway.client.runner_dial import from_runner
from gateway.errors import HopFailed
from gateway.protocol.errors import BadRequest
from gateway.protocol.runner_dial import PROTOCOL, path

ASKS = (("Connection", "Upgrade"), ("Upgrade", PROTOCOL))


@pytest.fixture
async def runner(edge):
    """The edge, whose runner reaches one server that says what it is told backwards; what was dialled is in `addresses`."""

    async def backwards(reader, writer):
        writer.write((await reader.read())[::-1])
        writer.close()

    async with await asyncio.start_server(backwards, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        edge.addresses = []

        @asynccontextmanager
        async def dial(address):
            edge.addresses.append(address)
            if "shop" not in address:
                raise HopFailed("address_unreachable", f"{address[4:]} cannot be reached: Connection refused")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                yield Bytes(reader, writer)
            finally:
                writer.close()

        edge.backend.dial = dial
        yield edge


@pytest.fixture
def endpoint(runner):
    return Endpoint(runner.url, token=runner.proof[1].removeprefix("Bearer "))


async def test_bytes_pass_both_ways_as_a_session(runner, endpoint):
    async with from_runner(endpoint, "default", "shop.internal", 8080) as made:
        made.writer.write(b"abc")
        await made.writer.drain()
        listed = json.loads((await once(runner.url, "GET", "/gateway/v1/sessions", (runner.proof,))).body)
        (session,) = listed["sessions"]
        assert session["kind"] == "dial tcp:shop.internal:8080"
        made.writer.write_eof()
        assert await made.reader.read() == b"cba"
    assert runner.addresses == ["tcp:shop.internal:8080"]


@pytest.mark.parametrize(
    ("where", "headers", "code", "words"),
    [
        (path("default", "shop", 80), (), 426, PROTOCOL),
        (path("default", "shop", 70000), ASKS, 400, "is no port"),
        (path("default", "shop/x", 80), ASKS, 400, "is no host"),
        (path("default", "a\nb", 80), ASKS, 400, "is no host"),
        (path("default", "", 80), ASKS, 400, "is no host"),
        (path("none", "shop", 80), ASKS, 404, "cluster_unknown"),
        (path("default", "other", 80), ASKS, 503, "address_unreachable"),
    ],
)
async def test_what_cannot_be_is_refused_before(runner, where, headers, code, words):
    answer = await once(runner.url, "POST", where, (runner.proof, *headers))
    assert (answer.code, words in str(answer.status["message"])) == (code, True), answer.status
    assert len(runner.addresses) == (code == 503)


async def test_whoever_may_not_run_commands_there_dials_nothing(runner):
    answer = await once(runner.url, "POST", path("default", "shop", 80), (page(runner, "ann"), *ASKS))
    assert answer.code == 403
    assert runner.addresses == []


async def test_without_a_relay_it_says_what_is_missing(runner, endpoint):
    runner.backend.dial = None
    with pytest.raises(GatewayFailed, match="needs python3"):
        async with from_runner(endpoint, "default", "shop", 80):
            pass


async def fetch(endpoint, url, **asked):
    async with fetched(endpoint, Asked(url, namespace="shop", **asked)) as reply:
        return reply.status, b"".join([part async for part in reply.body])


async def test_a_service_is_asked_through_the_clusters_api(endpoint, upstream):
    """With the gateway's own credential, which the API server does not get; the service's own answer comes back."""
    status, body = await fetch(endpoint, "svc/https:web:8443/a/../x?q=1")
    assert (status, body) == (200, b"{}")
    (request,) = upstream.heads
    assert request.startswith(b"GET /api/v1/namespaces/shop/services/https:web:8443/proxy/x?q=1 HTTP/1.1\r\n")
    assert b"authorization" not in request.lower()


async def test_a_hop_that_fails_is_no_answer_of_the_service(endpoint):
    """The scripted cluster has no API at all: the gateway's refusal, which names the hop."""
    with pytest.raises(GatewayFailed):
        await fetch(Endpoint(endpoint.url, token="wrong" * 8), "svc/web/")
    with pytest.raises(BadRequest, match="nobody's credential"):
        await fetch(endpoint, "pod/web-0/", user="ann:secret")


async def test_the_exit_code_of_an_address_is_curls(endpoint):
    with pytest.raises(CurlFailed, match=r"^other:80: Connection refused$") as failed:
        await fetch(endpoint, "http://other/")
    assert failed.value.exit_status == 7
