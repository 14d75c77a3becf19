"""Exec and attach over WebSocket at the stand-in of kubectl proxy, as an API server answers them."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

V5, V4 = Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")
WEB, BASH = "/api/v1/namespaces/default/pods/web-0", "/api/v1/namespaces/default/pods/bash-0"


@pytest.fixture
async def proxy(demo):
    """The socket of a proxy that runs."""
    path = demo.directory / "remote.sock"
    kubectl = demo.directory / "bin" / "kubectl"
    process = await asyncio.create_subprocess_exec(
        kubectl, "proxy", f"--unix-socket={path}", stdout=asyncio.subprocess.PIPE
    )
    assert await process.stdout.readline() == f"Starting to serve on {path}\n".encode()
    yield path
    process.terminate()
    await process.communicate()


@asynccontextmanager
async def opened(proxy, path, *offered):
    async with unix_connect(
        str(proxy), f"ws://localhost{path}", subprotocols=offered or [V5, V4], compression=None
    ) as client:
        yield client


async def rest(client):
    """The messages up to the Status, joined by channel; and the Status."""
    found = {}
    async for message in client:
        found[message[0]] = found.get(message[0], b"") + message[1:]
    return found, json.loads(found.pop(3))


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (f"{WEB}/exec?command=true&stdout=true", 400,
         "a container name must be specified for pod web-0, choose one of: [side main]"),
        (f"{WEB}/exec?container=x&command=true&stdout=true", 400, "container x is not valid for pod web-0"),
        (f"{WEB}x/exec?command=true&stdout=true", 404, 'pods "web-0x" not found'),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_before_the_upgrade(proxy, path, code, message):
    with pytest.raises(InvalidStatus) as refusal:
        async with opened(proxy, path):
            pass

    status = json.loads(refusal.value.response.body)
    assert (status["code"], status["message"]) == (code, message)


async def test_the_streams_and_the_exit_code_come_apart(proxy):
    script = "exec?command=sh&command=-c&command=cat;%20echo%20err%20%3E%262;exit%203&stdin=true&stdout=true&stderr=true"
    async with opened(proxy, f"{BASH}/{script}") as client:
        await client.send(b"\0in")
        await client.send(b"\xff\0")
        streams, status = await rest(client)

    assert client.subprotocol == V5
    assert streams == {1: b"in", 2: b"err\n"}
    assert status["details"] == {"causes": [{"reason": "ExitCode", "message": "3"}]}


async def test_a_terminal_has_its_first_size_when_the_command_starts(proxy):
    async with opened(
        proxy, f"{BASH}/exec?command=stty&command=size&stdin=true&stdout=true&tty=true", V4
    ) as client:
        await client.send(b'\4{"Width":132,"Height":50}')
        streams, status = await rest(client)

    assert (streams, status["status"]) == ({1: b"50 132\r\n"}, "Success")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"{BASH}/exec?command=no-such-program&stdout=true", '"no-such-program": executable file not found in $PATH'),
        (f"{BASH}/attach?stdout=true", "no process to attach to"),
    ],
)  # fmt: skip
async def test_what_does_not_start_ends_with_an_internal_error(proxy, path, message):
    async with opened(proxy, path) as client:
        streams, status = await rest(client)

    assert (streams, status["code"]) == ({}, 500)
    assert message in status["message"]


async def test_a_client_that_goes_away_hangs_up(proxy):
    """The command's end is the end of its output, which it has given to a connection of the test's own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        script = f"exec%203%3C%3E/dev/tcp/127.0.0.1/{server.getsockname()[1]};%20exec%20sleep%201000"
        async with opened(proxy, f"{BASH}/exec?command=bash&command=-c&command={script}&stdout=true"):
            command, _ = await asyncio.to_thread(server.accept)
        with command:
            command.settimeout(20)
            assert await asyncio.to_thread(command.recv, 1) == b""
