"""Pings of a client that has no session yet: they are answered, hold nothing, and do not make the gateway wait longer."""

import asyncio
import json

import pytest
from support.peer import BINARY, OWN, PING, PONG, frame, peer

from gateway.protocol.argv import messages
from gateway.protocol.codec import encode
from gateway.protocol.messages import Control
from gateway.protocol.subprotocols import OWN as ROW
from gateway.server.routes import argv, attach
from gateway.server.routes import exec as exec_route
from gateway.settings.config import Limits

EXEC = "/api/v1/namespaces/default/pods/web-0/exec?stdout=1&command=x&argv=in-band"
ATTACH = "/gateway/v1/sessions/none/attach"
LONG = ("echo", "x" * 5000)
PARTS = [encode(part, ROW) for part in messages(LONG)]
WISH = encode(Control({"type": "attach", "secret": None, "offset": None}), ROW)


async def answered(client, data):
    """Sends a ping, and a pong that nobody asked for; the next frame is the ping's answer."""
    client.send(frame(b"unasked", PONG) + frame(data, PING))
    assert await client.hear() == (PONG, data)


async def flood(client):
    """Sends pings for as long as the connection is there."""
    while True:
        client.send(frame(bytes(125), PING) * 1000)
        await client.writer.drain()


async def test_pings_around_the_parts_of_a_command_are_answered(edge):
    async with peer(edge.url) as client:
        assert (await client.upgrade(EXEC, (OWN, edge.proof))).code == 101
        for number, part in enumerate(PARTS):
            await answered(client, b"%d" % number)
            client.say(part)
        opcode, hello = await client.hear()

    assert (opcode, json.loads(hello[1:])["type"]) == (BINARY, "hello")
    assert edge.backend.opened[-1][1].argv == LONG


async def test_a_ping_before_the_attach_message_is_answered(edge):
    async with peer(edge.url) as client:
        assert (await client.upgrade(ATTACH, (OWN, edge.proof))).code == 101
        await answered(client, b"alive")
        client.say(WISH)
        _, refused = await client.hear()

    assert json.loads(refused[1:])["code"] == "session_unknown"


@pytest.mark.parametrize("path", [EXEC, ATTACH])
async def test_pings_are_not_held(edge_with, path):
    """Else many of them are a message that is never whole."""
    edge = await edge_with(Limits(messages=4096))
    async with peer(edge.url) as client:
        assert (await client.upgrade(path, (OWN, edge.proof))).code == 101
        for _ in range(40):
            await answered(client, bytes(125))

    assert not edge.metric('dap_refused_total{code="half_received"}')


@pytest.mark.parametrize(("path", "words"), [(EXEC, "no message within"), (ATTACH, "no attach message came")])
async def test_pings_are_no_message_that_is_waited_for(edge, monkeypatch, path, words):
    monkeypatch.setattr(argv, "_PAUSE", 0.2)
    monkeypatch.setattr(attach, "FIRST", 0.2)
    async with peer(edge.url) as client:
        assert (await client.upgrade(path, (OWN, edge.proof))).code == 101
        async with asyncio.timeout(10):
            client.say(b"x", PING)
            while (heard := await client.hear())[0] == PONG:
                client.say(b"x", PING)

    assert words in json.loads(heard[1][1:])["message"]


@pytest.mark.parametrize("path", [EXEC, ATTACH])
async def test_a_client_that_takes_no_answer_to_its_pings_is_left(edge, monkeypatch, path):
    for module, name in ((argv, "_PAUSE"), (attach, "FIRST"), (attach, "LEAVE"), (exec_route, "LEAVE")):
        monkeypatch.setattr(module, name, 0.2)
    async with peer(edge.url, rcvbuf=4096) as client:
        assert (await client.upgrade(path, (OWN, edge.proof))).code == 101
        async with asyncio.timeout(20):
            with pytest.raises(ConnectionError):
                await flood(client)
