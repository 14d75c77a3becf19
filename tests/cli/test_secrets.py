"""No password and no token in what `dap` says, whatever goes wrong with the proxy, the URL or the token."""

import json
import socketserver
import threading

import pytest
from support.repeated import again

from gateway.cli.main import main
from gateway.client.connection import attach
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import GatewayFailed

SECRET = "s3cret"  # what must not be seen
REMOTE = {"DAP_GATEWAY_URL": "https://dap.example.com", "DAP_GATEWAY_TOKEN": f"{SECRET}-token"}


@pytest.fixture(
    params=[b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"Bearer s3cret-token\r\n\r\n", b""]
)
def proxy(request):
    """A proxy that refuses, talks nonsense, or hangs up; what it was asked."""
    asked = []

    class Refusing(socketserver.StreamRequestHandler):
        def handle(self):
            while (line := self.rfile.readline()).strip():
                asked.append(line)
            self.wfile.write(request.param)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], asked
        server.shutdown()


def test_a_proxy_that_refuses_is_told_without_its_password(called, proxy):
    port, asked = proxy
    env = REMOTE | {"HTTPS_PROXY": f"http://ann:{SECRET}@127.0.0.1:{port}"}
    done = called("exec", "web-0", "--", "true", env=env)

    assert done.code == 125
    assert asked[0].startswith(b"CONNECT dap.example.com:443 ")
    assert done.err.startswith("dap: gateway: no gateway answers at https://dap.example.com: ")
    assert SECRET not in done.err
    assert "Traceback" not in done.err


def test_a_probe_through_a_proxy_that_refuses_is_told_without_its_password(called, proxy):
    env = REMOTE | {"HTTPS_PROXY": f"http://ann:{SECRET}@127.0.0.1:{proxy[0]}"}
    probed = called("probe", "web-0", "--json", env=env)

    assert probed.code == 125
    assert json.loads(probed.out)["code"] == "gateway_refused"
    for said in (probed.err, probed.out.decode()):
        assert SECRET not in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    "proxy",
    [f"http://ann:{SECRET}/x@127.0.0.1:1", f"ann:{SECRET}@127.0.0.1:1", f"socks5://ann:{SECRET}@127.0.0.1:1",
     f"ftp://ann:{SECRET}@h", f"http://ann:x [{SECRET}@h", f"http://ann:x {SECRET}@h/path", f"http://{SECRET}@h",
     f"http://ann:%ff{SECRET}@h:1", f"http://ann:{SECRET}@h:99999"],
)  # fmt: skip
async def test_a_proxy_that_cannot_be_used_is_told_without_its_words(monkeypatch, proxy):
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(GatewayFailed, match="HTTPS_PROXY") as caught:
        async with attach(Endpoint("https://dap.example.com", token="t"), "/"):
            pass

    assert SECRET not in str(caught.value) + str(caught.value.end)


@pytest.mark.parametrize(
    "url",
    [f"https://ann:{SECRET}@h", f"https://:{SECRET}@h", f"ann:{SECRET}@h", f"https://ann:{SECRET}/x@h", f"http://{SECRET}@h",
     f"https://ann:{SECRET}@h:port"],
)  # fmt: skip
def test_a_gateways_url_with_a_password_is_refused_without_it(monkeypatch, capsys, url):
    monkeypatch.setenv("DAP_GATEWAY_URL", url)
    monkeypatch.setattr("sys.argv", ["dap", "sessions"])
    with pytest.raises(SystemExit) as ended:
        main()

    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert err.startswith("dap: gateway.url is '")
    assert SECRET not in out + err


@pytest.mark.parametrize("token", [f"{SECRET}\nx", again(f"{SECRET} x")])
def test_a_token_of_no_use_is_named_and_not_shown(called, token):
    done = called("exec", "web-0", "--", "true", env=REMOTE | {"DAP_GATEWAY_TOKEN": token})

    assert done.code == 2
    assert "DAP_GATEWAY_TOKEN" in done.err
    assert SECRET not in done.err


async def test_a_defect_is_told_without_credentials(monkeypatch, capsys):
    def broken():
        raise RuntimeError(f"{{'Authorization': 'Bearer {SECRET}'}} for http://ann:{SECRET}@h")

    monkeypatch.setattr("gateway.cli.commands.sessions.load", broken)
    monkeypatch.setattr("sys.argv", ["dap", "sessions"])
    with pytest.raises(SystemExit):
        main()

    err = capsys.readouterr().err
    assert "a defect of dap: RuntimeError" in err
    assert SECRET not in err
