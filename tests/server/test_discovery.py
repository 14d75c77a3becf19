"""`dap` finds its gateway wherever it may listen, and sends the token to nobody else."""

import asyncio
import contextlib
import fcntl
import socket
import threading
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from support.cuttable import cuttable
from support.peer import once
from support.repeated import again
from support.served import TOKEN

from gateway.client.connection import attach
from gateway.client.endpoint import Endpoint, running
from gateway.client.exit_status import GatewayFailed
from gateway.client.http import request
from gateway.protocol.proof import PATH
from gateway.settings import serving
from gateway.settings.loader import load

NONCE = "0123456789abcdef" * 2


@pytest.fixture
def env(home, monkeypatch):
    """The environment of this process is that of the empty home, with the token of the gateways here."""
    for name in ("DAP_GATEWAY_URL", "DAP_RUNNER_SSH_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, home.env[name])
    monkeypatch.setenv("DAP_GATEWAY_TOKEN", TOKEN)
    monkeypatch.setenv("DAP_GATEWAY_LISTEN", "127.0.0.1:1")
    return monkeypatch


def port_of(url):
    return urlsplit(url).port


@contextlib.contextmanager
def recorder(answer=b""):
    """(port, all bytes it was sent) of a listener that answers everything with `answer`."""
    heard = []

    def listen():
        with contextlib.suppress(OSError):
            while True:
                with listening.accept()[0] as one:
                    one.settimeout(2)
                    with contextlib.suppress(OSError):
                        heard.append(one.recv(1 << 16))
                        one.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield listening.getsockname()[1], heard
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


async def test_the_tcp_address_of_the_settings_is_found_with_a_proof(env, edge):
    env.setenv("DAP_GATEWAY_LISTEN", f"127.0.0.1:{port_of(edge.url)}")
    found = await asyncio.to_thread(running, load())

    assert found == Endpoint(edge.url, token=TOKEN, proves=True)
    assert (await asyncio.to_thread(request, found, "GET", "/gateway/v1/info"))[0] == 200
    path = "/api/v1/namespaces/default/pods/web-0/exec?command=true&stdout=1"
    async with attach(found, path) as connection:
        assert (await connection.receive()).body["type"] == "hello"


async def test_localhost_is_every_address_of_it(env, edge_with):
    edge = await edge_with(listen="localhost:0")
    env.setenv("DAP_GATEWAY_LISTEN", f"localhost:{port_of(edge.url)}")

    assert (await asyncio.to_thread(running, load())).proves


@pytest.mark.usefixtures("env")
async def test_an_address_of_a_flag_is_found_where_the_gateway_stored_it(edge, home):
    serving.write(home.path / "state" / "dap", serving.Address(None, [("127.0.0.1", port_of(edge.url))]))

    assert (await asyncio.to_thread(running, load())).url == edge.url


@pytest.mark.usefixtures("env")
async def test_a_socket_of_another_environment_is_found_where_the_gateway_stored_it(edge, home):
    serving.write(home.path / "state" / "dap", serving.Address(edge.socket, ()))

    assert str((await asyncio.to_thread(running, load())).socket) == edge.socket


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"socket": 1}', '{"socket": "", "listen": [["h"]]}', '{"listen": 5}']
)
def test_what_is_no_stored_address_is_none(tmp_path, text):
    (tmp_path / "serving.json").write_text(text)

    assert serving.read(tmp_path) == serving.Address()


@pytest.mark.usefixtures("env")
async def test_an_address_beyond_this_machine_is_never_asked(home):
    serving.write(home.path / "state" / "dap", serving.Address(None, [("192.0.2.1", 80), ("evil.test", 80)]))

    assert await asyncio.to_thread(running, load()) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n" + b"0" * 64 + b"\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ],
)  # fmt: skip
async def test_whoever_owns_the_port_gets_no_token(env, answer):
    with recorder(answer) as (port, heard):
        env.setenv("DAP_GATEWAY_LISTEN", f"127.0.0.1:{port}")
        assert await asyncio.to_thread(running, load()) is None
        endpoint = Endpoint(f"http://127.0.0.1:{port}", token=TOKEN, proves=True)
        with pytest.raises(GatewayFailed):
            await asyncio.to_thread(request, endpoint, "GET", "/gateway/v1/info")
        with pytest.raises(GatewayFailed):
            async with attach(endpoint, "/"):
                pass

    assert len(heard) == 3
    assert all(one.startswith(b"GET /gateway/v1/proof?nonce=") for one in heard)
    assert TOKEN.encode() not in b"".join(heard)


async def test_a_proof_cannot_be_passed_on_from_another_port(env, edge):
    """Somebody owns a port and asks the gateway behind it for the answers."""
    async with cuttable(port_of(edge.url)) as between:
        env.setenv("DAP_GATEWAY_LISTEN", f"127.0.0.1:{between.port}")
        assert await asyncio.to_thread(running, load()) is None
        assert between.connections


async def test_another_token_is_another_gateway(env, edge):
    env.setenv("DAP_GATEWAY_LISTEN", f"127.0.0.1:{port_of(edge.url)}")
    env.setenv("DAP_GATEWAY_TOKEN", "another-token-0123")

    assert await asyncio.to_thread(running, load()) is None


async def test_a_proof_is_for_this_machine_and_for_a_nonce(edge_with):
    edge = await edge_with(public_url="https://gate.example.com")

    assert (await once(edge.url, "GET", f"{PATH}?nonce={NONCE}")).code == 200
    assert (await once(edge.url, "GET", f"{PATH}?nonce={NONCE}", host="gate.example.com")).code == 403
    assert (await once(edge.socket, "GET", f"{PATH}?nonce={NONCE}")).code == 403
    for nonce in ("", "x", NONCE.upper(), NONCE + "0", "0" * 31):
        assert (await once(edge.url, "GET", f"{PATH}?nonce={nonce}")).code == 400, nonce


@pytest.mark.parametrize("quiet", [again([]), ["--quiet"]])
def test_a_second_gateway_is_never_started_unsaid(home, called, quiet):
    home.socket.parent.mkdir(mode=0o700)
    env = {"DAP_RUNNER_SSH_HOST": "127.0.0.1:1", "DAP_RUNNER_SSH_CONFIG": "none"}
    with home.socket.with_name("gateway.sock.lock").open("w+") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = called("exec", *quiet, "web-0", "--", "true", env=env)
        listed = called("sessions")

    said = f"dap: the gateway of process 4711 answers neither at {home.socket} nor, with a proof, at 127.0.0.1 port 8080"
    assert done.code == 125
    assert done.err.startswith(said)
    assert "this command runs a second one" in done.err.splitlines()[0]
    assert listed.code == 125
    assert said.removeprefix("dap: ") in listed.err


async def test_without_a_name_for_it_the_listener_of_the_settings_is_the_default(env):
    env.delenv("DAP_GATEWAY_LISTEN")
    asked = []
    env.setattr("gateway.client.endpoint._proves", lambda *where: asked.append(where[:2]))

    assert running(load()) is None
    assert asked == [("127.0.0.1", 8080), ("::1", 8080)]
    assert running(replace(load(), token="")) is None
    assert len(asked) == 2, "without a token nobody is asked"
