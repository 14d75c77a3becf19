"""A command that is too long for a URL comes in messages, and arrives exactly."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs
from support.cuttable import pump
from support.fake_gateway import fake_tcp_gateway
from support.peer import OWN, peer
from support.served import TOKEN

from gateway.client.connection import attach
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import GatewayFailed
from gateway.client.http import refusal
from gateway.client.request import LONGEST, path, without_command
from gateway.protocol.argv import MAX_SIZE, STAND_IN, ArgvReader, messages
from gateway.protocol.errors import BadRequest
from gateway.protocol.query import parse_query
from gateway.protocol.target import Command, Target
from gateway.server.routes import argv as route

TARGET = Target("default", "default", "web-0", None)
ODD = ("echo", "-c", "ü" * 5000, "", "a b&c=d%20+#?", "\x01\n\t\u2028🐈" * 500, "-n", "")
LONG_PATH = "/api/v1/namespaces/default/pods/web-0/exec?stdout=1&command=x&argv=in-band"


def wish(argv):
    return path(TARGET, Command(tuple(argv), "exec", stdin=False, stdout=True, stderr=True, tty=False))


async def run(url, argv):
    async with attach(Endpoint(url, token=TOKEN), wish(argv)) as connection:
        return await connection.receive()


@pytest.mark.parametrize(
    "argv", [ODD, ("echo", "x" * 300_000), ("echo", *["one"] * 15_000), ("true", "x" * 9000)]
)
async def test_a_long_command_arrives_exactly(edge, argv):
    assert len(wish(argv)) > LONGEST

    assert (await run(edge.url, argv)).body["type"] == "hello"
    assert edge.backend.opened[-1][1].argv == argv


async def test_a_short_one_is_in_the_url(edge):
    assert (await run(edge.url, ODD[3:5])).body["type"] == "hello"
    assert edge.backend.opened[-1][1].argv == ODD[3:5]
    assert "argv" not in wish(ODD[3:5])


@asynccontextmanager
async def proxy_with_a_limit(url, limit, status):
    """(its URL, the lengths of the request lines) of what takes no longer one."""
    seen = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(len(head.partition(b"\r\n")[0]))
        if seen[-1] > limit:
            body = b"<html>Request-URI Too Large</html>"
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
            writer.close()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        inner_writer.write(head)
        with suppress(ExceptionGroup, OSError):
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, inner_writer))
                group.create_task(pump(inner_reader, writer))
        for one in (writer, inner_writer):
            one.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


@pytest.mark.parametrize("status", [414, 431])
async def test_what_a_proxy_finds_too_long_is_sent_again_in_messages(edge, status):
    argv = ("echo", "y" * 3000)
    async with proxy_with_a_limit(edge.url, 1000, status) as (url, seen):
        assert (await run(url, argv)).body["type"] == "hello"

    assert edge.backend.opened[-1][1].argv == argv
    assert len(edge.backend.opened) == 1
    assert seen[0] > 3000
    assert seen[1] < 1000


async def test_where_nothing_is_left_to_shorten_the_limit_is_named(edge):
    async with proxy_with_a_limit(edge.url, 10, 414) as (url, seen):
        with pytest.raises(
            GatewayFailed, match=r"HTTP 414: a proxy in front of the gateway limits .*nginx: large_client"
        ):
            await run(url, ("ls",))
        async with attach_fails(url, "/gateway/v1/sessions/s/attach"):
            pass

    assert len(seen) == 3
    assert "a proxy in front" in str(refusal(431, b""))
    assert "a proxy in front" not in str(
        refusal(431, b'{"kind":"Status","status":"Failure","message":"m","code":431}')
    )


@asynccontextmanager
async def attach_fails(url, where):
    with pytest.raises(GatewayFailed, match="HTTP 414"):
        async with attach(Endpoint(url, token=TOKEN), where):
            pass
    yield


async def test_a_gateway_of_before_runs_nothing_but_words():
    """It ignores the field, and takes the command of the query, which no container has."""
    async with fake_tcp_gateway(lambda client: client.end(127)) as (gateway, url):
        await run(url, ("echo", "z" * 9000))

    assert gateway.clients[0].argv == [STAND_IN]


def control(body):
    return b"\x05" + (body if isinstance(body, bytes) else json.dumps(body).encode())


PART = {"type": "command", "part": "x", "last": True}


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([b"\x00early"], "the first messages are the parts of the command"),
        ([control({"type": "seen", "offset": 1})], "the first messages"), ([control(b"{")], "the first messages"),
        ([control(PART | {"last": 1})], "the first messages"), ([control(PART | {"part": None})], "the first messages"),
        ([control(b'{"type":"command","part":"\\ud800","last":true}')], "not valid UTF-8"),
        ([control(PART | {"last": False}), control(b"{}")], "the first messages"), ([b"\xff"], "a half-close is two bytes"),
        ([], "no message within 0.2 s"), ([control(PART | {"last": False})], "no message within 0.2 s"),
    ],
)  # fmt: skip
async def test_what_is_no_command_is_refused_in_band(edge, monkeypatch, frames, words):
    monkeypatch.setattr(route, "_PAUSE", 0.2)
    async with peer(edge.url) as client:
        assert (await client.upgrade(LONG_PATH, (OWN, edge.proof))).code == 101
        for one in frames:
            client.say(one)
        _, refused = await client.hear()

    body = json.loads(refused[1:])
    assert (body["type"], body["code"]) == ("refused", "bad_request")
    assert words in body["message"]
    assert not edge.backend.opened


async def test_what_breaks_websockets_rules_before_the_command_is_refused_in_band(edge):
    with capture_logs() as logs:
        async with peer(edge.url) as client:
            assert (await client.upgrade(LONG_PATH, (OWN, edge.proof))).code == 101
            client.say(b"\x00x", mask=False)
            _, refused = await client.hear()

    body = json.loads(refused[1:])
    assert (body["type"], body["code"]) == ("refused", "bad_request")
    assert "rules of WebSocket" in body["message"]
    assert [log for log in logs if log["log_level"] == "error"] == []


async def test_a_client_that_leaves_before_its_command_opens_nothing(edge):
    async with peer(edge.url) as client:
        assert (await client.upgrade(LONG_PATH, (OWN, edge.proof))).code == 101
    await edge.idle()
    assert not edge.backend.opened


def test_there_is_an_end_to_what_is_taken():
    taken = ArgvReader()
    with pytest.raises(BadRequest, match=f"more than {MAX_SIZE} bytes"):
        list(map(taken.take, messages(["x" * MAX_SIZE])))


def test_the_path_without_its_command_keeps_the_rest():
    command = Command(("a", "b c"), "exec", stdin=True, stdout=True, stderr=True, tty=False)
    short, argv = without_command(path(Target("east", "n s", "web-0", "c"), command))

    assert argv == ["a", "b c"]
    assert short.startswith("/clusters/east/api/v1/namespaces/n%20s/pods/web-0/exec?")
    fields = parse_query(short.partition("?")[2])
    assert ("container", "c") in fields
    assert [value for name, value in fields if name == "command"] == [STAND_IN]
    assert ("argv", "in-band") in fields
