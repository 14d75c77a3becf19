"""Where `dap` finds its gateway, and what it tells whom."""

import contextlib
import http.server
import json
import socket
import threading

import pytest
from support.fake_gateway import fake_gateway

from gateway.cli.console import safe
from gateway.client.endpoint import running
from gateway.errors import ConfigError
from gateway.settings.loader import load


@pytest.fixture
def env(home, monkeypatch):
    """The environment of this process is that of the empty home."""
    for name in ("DAP_GATEWAY_URL", "DAP_GATEWAY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, home.env[name])
    return monkeypatch


@pytest.fixture
def stored_token(home):
    (home.path / "state" / "dap").mkdir(parents=True)
    (home.path / "state" / "dap" / "token").write_text("stored\n")


async def nobody(_):
    raise AssertionError


@pytest.mark.usefixtures("env")
async def test_a_socket_that_answers_is_the_gateway(home):
    assert running(load()) is None

    async with fake_gateway(nobody, home.socket):
        endpoint = running(load())

    assert endpoint.socket == home.socket
    assert endpoint.headers == {}


@pytest.mark.usefixtures("env")
def test_a_stale_socket_is_no_gateway(home):
    home.socket.parent.mkdir()
    home.socket.touch()

    assert running(load()) is None


@pytest.mark.usefixtures("env")
def test_a_gateway_that_takes_nobody_at_present_is_one_all_the_same(home):
    """Another one inside the command would not know its sessions."""
    home.socket.parent.mkdir()
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(home.socket))
        listening.listen(0)
        stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(home.socket))

        assert running(load()).socket == home.socket


async def test_a_url_wins_over_the_socket(home, env):
    env.setenv("DAP_GATEWAY_URL", "wss://dap.example.com/x/")
    env.setenv("DAP_GATEWAY_TOKEN", "t")
    async with fake_gateway(nobody, home.socket):
        endpoint = running(load())

    assert (endpoint.url, endpoint.socket) == ("https://dap.example.com/x", None)
    assert endpoint.headers == {"Authorization": "Bearer t"}
    assert "Bearer" not in repr(endpoint)
    assert "token" not in repr(endpoint)


@pytest.mark.usefixtures("stored_token")
def test_the_token_of_this_machine_goes_to_this_machine_alone(env):
    env.setenv("DAP_GATEWAY_URL", "http://localhost:8080")
    assert running(load()).token == "stored"

    env.setenv("DAP_GATEWAY_URL", "https://dap.example.com")
    with pytest.raises(ConfigError, match="DAP_GATEWAY_TOKEN"):
        running(load())


@pytest.mark.usefixtures("stored_token")
@pytest.mark.parametrize(
    "host", ["localhost", "localhost.", "LOCALHOST", "127.0.0.1", "127.0.0.2", "127.255.255.254", "[::1]",
             "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"],
)  # fmt: skip
def test_every_name_of_this_machine_is_this_machine(env, host):
    env.setenv("DAP_GATEWAY_URL", f"http://{host}:8080")
    endpoint = running(load())

    assert (endpoint.token, endpoint.local) == ("stored", True)


@pytest.mark.parametrize(
    "host",
    ["128.0.0.1", "0.0.0.0", "[::]", "localhost.example.com", "127.0.0.1.example.com", "[::ffff:128.0.0.1]"],
)
def test_other_names_are_beyond_it(env, host):
    env.setenv("DAP_GATEWAY_URL", f"http://{host}:8080")
    env.setenv("DAP_GATEWAY_TOKEN", "t")

    with pytest.raises(ConfigError, match="use https"):
        running(load())


@pytest.fixture
def tickets():
    """A gateway's ticket office; what it was asked."""
    asked = []

    class Office(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(
                (
                    self.path,
                    dict(self.headers),
                    json.loads(self.rfile.read(int(self.headers["Content-Length"]))),
                )
            )
            body = {"ticket": "t", "url": "http://localhost:8080/#ticket=t", "expiresIn": 300}
            if self.headers["Authorization"] != "Bearer good":
                body = {"kind": "Status", "status": "Failure", "message": "Unauthorized", "code": 401}
            answer = json.dumps(body).encode()
            self.send_response(201 if "ticket" in body else 401)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Office) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], {}),
        (["--for", "ann"], {"for": "ann"}),
        (["web-0", "-n", "shop"], {"target": "default/shop/web-0"}),
        (["east/shop/web-0/nginx", "--for", "ann"], {"target": "east/shop/web-0/nginx", "for": "ann"}),
        (["deploy/api", "--cluster", "east"], {"target": "east//deploy%2Fapi"}),
    ],
)
def test_open_prints_a_link(called, tickets, arguments, wanted):
    url, asked = tickets
    done = called("open", *arguments, env={"DAP_GATEWAY_URL": url, "DAP_GATEWAY_TOKEN": "good"})

    assert (done.code, done.out, done.err) == (0, b"http://localhost:8080/#ticket=t\n", "")
    path, _, body = asked[0]
    assert path == "/gateway/v1/tickets"
    assert body == wanted


def test_open_without_a_right_or_a_gateway(called, tickets):
    url, _ = tickets
    refused = called("open", env={"DAP_GATEWAY_URL": url, "DAP_GATEWAY_TOKEN": "bad"})
    nobody_there = called("open")

    assert (refused.code, nobody_there.code) == (125, 125)
    assert refused.err == "dap: gateway: the gateway gave no ticket: Unauthorized (gateway_refused)\n"
    assert "start one with dap serve" in nobody_there.err


def test_messages_cannot_drive_a_terminal():
    hostile = "a\x1b]0;title\x07b\x9bc\r\nd\u202ee\x7f\ud800 ü 日本"

    assert safe(hostile) == "a\\x1b]0;title\\x07b\\x9bc d\\u202ee\\x7f\\ud800 ü 日本"
