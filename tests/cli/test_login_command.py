"""`dap login` and `dap logout`: a link becomes a token that commands, `dap token` and kubectl use."""

import asyncio
import json
import re
import ssl
import tempfile
from base64 import b64decode
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.dap import on_a_terminal
from support.served import TOKEN, cluster_at, config_for, served

from gateway import __version__
from gateway.access import own_ca
from gateway.access.identity import Identity
from gateway.cli.commands import login as command
from gateway.client import endpoint, http, logins
from gateway.client.connection import attach
from gateway.client.exit_status import GatewayFailed
from gateway.errors import ConfigError
from gateway.protocol.errors import BadRequest
from gateway.server.tls import tls_listener
from gateway.settings.loader import load

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def env(home, monkeypatch, tmp_path):
    """The environment of this process, and of `dap`, is that of the empty home; its system trusts the gateway."""
    for name in ("DAP_GATEWAY_URL", "DAP_GATEWAY_TOKEN", "DAP_RUNNER_SSH_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, home.env[name])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    return monkeypatch


@pytest.fixture
async def gateway(tmp_path):
    """A gateway that listens with TLS, of a cluster that it cannot reach."""
    (tmp_path / "at").mkdir()
    nowhere = cluster_at("nobody@127.0.0.1:1", tmp_path / "key", tmp_path / "known_hosts", "vm")
    async with served(replace(config_for(nowhere), tls_listen="localhost:0"), tmp_path / "at") as running:
        (tmp_path / "trusted.pem").write_text(running.gateway.tls.ca)
        yield running


def url_of(gateway):
    return gateway.gateway.tls.urls[0]


def link(gateway, name="ann", url=None):
    ticket = gateway.gateway.access.tokens.ticket(Identity(name, "page"))
    return f"{url or url_of(gateway)}/#ticket={ticket}&path=/default/shop/web-0"


def grants(gateway):
    return [one.identity.name for one in gateway.gateway.access.tokens.pages()]


async def log_in(text):
    await asyncio.to_thread(command.log_in, text)


async def log_out(text=None):
    return await asyncio.to_thread(command.log_out, text)


def who(found):
    """As whom the gateway knows the endpoint."""
    return http.answered(found, "GET", "/gateway/v1/info", 200)["identity"]


def files(home):
    return sorted(one.name for one in (home.path / "state" / "dap").rglob("*") if one.is_file())


@pytest.mark.usefixtures("env")
async def test_a_link_becomes_a_token_that_commands_use(home, gateway, capsys):
    url = url_of(gateway)
    await log_in(link(gateway))

    assert capsys.readouterr().err == f"dap: signed in to {url} as ann\n"
    (kept,) = (home.path / "state" / "dap" / "logins").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    found = endpoint.running(load())
    assert (found.url, found.login) == (url, logins.find(url).name)
    assert await asyncio.to_thread(who, found) == "ann"
    (grant,) = gateway.gateway.access.tokens.pages()
    assert (grant.name, grant.agent) == (found.login, f"dap/{__version__}")


async def test_the_url_names_which_login_and_a_token_wins(env, gateway):
    await log_in(link(gateway))
    host = url_of(gateway).removeprefix("https://")
    env.setenv("DAP_GATEWAY_URL", f"wss://{host.upper()}/")
    assert await asyncio.to_thread(who, endpoint.running(load())) == "ann"

    env.setenv("DAP_GATEWAY_TOKEN", TOKEN)
    assert endpoint.running(load()).login == ""
    env.delenv("DAP_GATEWAY_TOKEN")
    env.setenv("DAP_GATEWAY_URL", "https://dap.example.com")
    with pytest.raises(
        ConfigError, match=r"sign in with dap login https://dap.example.com, or set DAP_GATEWAY_TOKEN"
    ):
        endpoint.running(load())


async def test_what_is_configured_here_goes_before_a_login(env, gateway):
    await log_in(link(gateway))
    env.setenv("DAP_RUNNER_SSH_HOST", "ops@mgmt.example.com")
    assert endpoint.running(load()) is None
    env.delenv("DAP_RUNNER_SSH_HOST")
    env.setenv("DAP_GATEWAY_TOKEN", "t" * 20)
    assert endpoint.running(load()) is None, "that token is for another gateway"


async def test_of_several_logins_one_has_to_be_named(env, gateway, capsys):
    await log_in(link(gateway))
    await log_in(link(gateway, "bob", gateway.url))
    assert f"export DAP_GATEWAY_URL={gateway.url}" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"set DAP_GATEWAY_URL to one of http://127.0.0.1"):
        endpoint.running(load())
    with pytest.raises(ConfigError, match=r"name the gateway, one of http://127.0.0.1"):
        await log_out()

    env.setenv("DAP_GATEWAY_URL", gateway.url)
    assert await asyncio.to_thread(who, endpoint.running(load())) == "bob"
    assert await log_out() == 0
    assert grants(gateway) == ["ann"]


@pytest.mark.usefixtures("env")
async def test_a_second_login_ends_the_first(gateway):
    await log_in(link(gateway))
    await log_in(link(gateway, "bob"))

    assert grants(gateway) == ["bob"]
    assert logins.every()[0].identity == "bob"


@pytest.mark.usefixtures("env")
async def test_logout_revokes_the_token_and_forgets_it(home, gateway, capsys):
    await log_in(link(gateway))
    done = await home.dap("token", env=_trust(home))
    assert (done.code, done.err) == (0, "")
    assert grants(gateway) == ["ann", "ann"], "a sign-in, and its short-lived token"

    assert await log_out(url_of(gateway)) == 0
    assert capsys.readouterr().err.endswith(f"dap: signed out of {url_of(gateway)}\n")
    assert grants(gateway) == []
    assert files(home) == ["short-token.json.lock"]
    with pytest.raises(ConfigError, match="you are signed in to no gateway"):
        await log_out()


@pytest.mark.usefixtures("env")
async def test_logout_from_a_gateway_that_is_gone_forgets_the_token_and_says_so(home, capsys):
    one = logins.Login("http://127.0.0.1:1", "t" * 20, "ann")
    logins.store(one)

    assert await log_out("http://127.0.0.1:1/#ticket=x") == 125
    assert f"at the gateway, dap access revoke {one.name} ends it" in capsys.readouterr().err
    assert files(home) == []


@pytest.mark.usefixtures("env")
async def test_a_link_that_is_used_says_so_and_keeps_the_login_there_is(gateway):
    text = link(gateway)
    await log_in(text)
    with pytest.raises(
        GatewayFailed, match="let nobody in: this ticket is unknown, used or expired: run 'dap open'"
    ):
        await log_in(text)
    assert grants(gateway) == ["ann"]
    assert logins.every()[0].identity == "ann"


@pytest.mark.parametrize(
    "text",
    ["", "dap.example.com", "http://dap.example.com/#ticket=x", "https://u:p@dap.example.com/#ticket=x"],
)
@pytest.mark.usefixtures("env")
async def test_what_is_no_link_is_refused(text):
    with pytest.raises(ConfigError, match="the gateway's URL is"):
        await log_in(text)


async def test_without_a_terminal_the_link_has_to_be_whole(home):
    done = await home.dap("login", "https://dap.example.com", start_new_session=True)
    assert (done.code, done.out) == (2, b"")
    assert "name the whole link, as dap open --for NAME prints it" in done.err


@pytest.mark.parametrize("kind", ["link", "token"])
@pytest.mark.usefixtures("env")
async def test_on_a_terminal_it_asks_and_shows_nothing_of_the_answer(home, gateway, kind):
    url = url_of(gateway)
    typed = TOKEN if kind == "token" else link(gateway)
    async with on_a_terminal(home, "login", url, env=_trust(home)) as screen:
        await screen.until(f"Link or token for {url}: ".encode())
        screen.type(f"{typed}\n".encode())
        assert await screen.ended() == 0
    assert typed.encode() not in screen.seen
    assert screen.restored
    assert logins.find(url).identity == (
        "ann" if kind == "link" else (await asyncio.to_thread(who, endpoint.running(load())))
    )


@pytest.mark.usefixtures("env")
async def test_a_link_to_another_gateway_is_not_taken(monkeypatch):
    monkeypatch.setattr(command, "_ask", lambda _: "https://other.example.com/#ticket=x")
    with pytest.raises(BadRequest, match=r"that is no link to https://dap.example.com"):
        await log_in("https://dap.example.com")


@pytest.mark.usefixtures("env")
async def test_kubectl_gets_the_logins_token_without_the_slow_imports(home, called, gateway):
    await log_in(link(gateway))
    done = await asyncio.to_thread(called, "kubeconfig", "--raw", env=_trust(home))
    assert done.code == 0, done.err
    config = json.loads(done.out)
    at = url_of(gateway).removeprefix("https://")
    (user,) = config["users"]
    env = {one["name"]: one["value"] for one in user["user"]["exec"]["env"]}
    assert user["name"] == f"dap@{at}"
    assert env == {"DAP_GATEWAY_URL": url_of(gateway), "DAP_GATEWAY_TOKEN": "", "DAP_GATEWAY_CA": ""}

    env |= _trust(home)
    first = await home.dap("token", env=env | {"DAP_GATEWAY_TOKEN": ""})
    again = await home.dap("token", env=env | {"PYTHONPROFILEIMPORTTIME": "1"})
    names = {line.rpartition("|")[2].strip() for line in again.err.splitlines()}
    assert (again.out, first.code) == (first.out, 0)
    assert not names & {"click", "http.client", "ssl", "typing", "hashlib"}
    token = json.loads(first.out)["status"]["token"]
    assert gateway.gateway.access.tokens.identity(token) == Identity("ann", "short")
    (kept,) = [name for name in files(home) if re.fullmatch(r"[0-9a-f]{10}\.short-token\.json", name)]
    assert (home.path / "state" / "dap" / kept).stat().st_mode & 0o777 == 0o600


def _trust(home):
    return {"SSL_CERT_FILE": str(home.path / "trusted.pem")}


def pinned(gateway, **more):
    """A link that names the gateway's own authority, and a gateway whose links do so."""
    gateway.gateway.links.base = url_of(gateway)
    gateway.gateway.links.pin = gateway.gateway.tls.pin(url_of(gateway))
    ticket = gateway.gateway.access.tokens.ticket(Identity("ann", "page"))
    return gateway.gateway.links.url(ticket, **more)


async def test_a_link_pins_the_own_authority_for_all_that_follows(called, env, gateway):
    env.delenv("SSL_CERT_FILE")
    with pytest.raises(GatewayFailed, match="certificate verify failed"):
        await log_in(link(gateway))
    text = pinned(gateway, path="default/shop/web-0")
    assert re.fullmatch(r".*/#ticket=[\w-]+&path=/default/shop/web-0&ca=sha256:[0-9a-f]{64}", text)
    await log_in(text)

    found = endpoint.running(load())
    assert found.ca == gateway.gateway.tls.ca
    assert await asyncio.to_thread(who, found) == "ann"
    async with attach(found, "/gateway/v1/clusters/default/run?command=true&stdout=true") as session:
        assert (await session.receive()).code == "not_allowed"
    config = json.loads((await asyncio.to_thread(called, "kubeconfig", "--raw")).out)
    (cluster,) = config["clusters"]
    assert b64decode(cluster["cluster"]["certificate-authority-data"]).decode() == found.ca
    done = await asyncio.to_thread(called, "token")
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    "change", [("sha256:.*", f"sha256:{'0' * 64}"), ("sha256:", "sha1:"), (r"..$", ""), (r".$", "ü")]
)
async def test_a_link_whose_pin_is_another_sends_nothing(env, gateway, change):
    env.delenv("SSL_CERT_FILE")
    text = pinned(gateway)
    head, pin = text.split("&ca=")
    wrong = re.sub(*change, pin)
    with pytest.raises(GatewayFailed, match="has not the certificate that the link names: nothing was sent"):
        await log_in(f"{head}&ca={wrong}")
    assert len(gateway.gateway.access.tokens.tickets()) == 1
    assert logins.every() == []


async def test_somebody_between_who_gives_the_right_certificate_gets_nothing(env, gateway):
    """He has the certificate, as everybody has, and not its key."""
    env.delenv("SSL_CERT_FILE")
    body = json.dumps({"ca": gateway.gateway.tls.ca}).encode()
    asked = []

    async def answer(reader, writer):
        with suppress(asyncio.IncompleteReadError, OSError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    with tempfile.NamedTemporaryFile() as file:
        pem, _ = own_ca.make(datetime.now(UTC)).leaf(["localhost"], datetime.now(UTC))
        file.write(pem)
        file.flush()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(GatewayFailed, match="certificate verify failed"):
            await log_in(re.sub(r"localhost:\d+", f"localhost:{port}", pinned(gateway)))
    assert [line.split(b" ")[1] for line in asked] == [b"/gateway/v1/ca"]


async def test_a_file_names_the_authority(env, gateway, tmp_path):
    env.delenv("SSL_CERT_FILE")
    path = tmp_path / "ca.pem"
    env.setenv("DAP_GATEWAY_CA", str(path))
    with pytest.raises(
        ConfigError, match=r"gateway.ca \(environment DAP_GATEWAY_CA\): .*ca.pem: No such file"
    ):
        await log_in(link(gateway))
    path.write_text("none")
    with pytest.raises(ConfigError, match=r"ca.pem holds no certificate"):
        await log_in(link(gateway))
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        await log_in(link(gateway))

    path.write_text(f"# für uns\n{gateway.gateway.tls.ca}")
    await log_in(link(gateway))
    env.delenv("DAP_GATEWAY_CA")
    assert logins.every()[0].ca == gateway.gateway.tls.ca
    env.setenv("DAP_GATEWAY_URL", url_of(gateway))
    env.setenv("DAP_GATEWAY_CA", str(path))
    env.setenv("DAP_GATEWAY_TOKEN", TOKEN)
    await log_out()
    found = endpoint.running(load())
    assert found.login == ""
    assert await asyncio.to_thread(who, found)


def test_only_the_listener_with_our_own_certificate_is_pinned(tmp_path):
    config = replace(config_for(), tls_listen="127.0.0.1:0", allowed_hosts=("dap.example.com",))
    with tls_listener(config, tmp_path) as tls:
        (host,) = tls.hosts
        port = host.partition(":")[2]
        assert tls.pin(f"https://{host}")
        assert tls.pin(f"https://dap.example.com:{port}")
        for url in (f"http://{host}", "https://127.0.0.1", f"https://proxy.example.com:{port}"):
            assert tls.pin(url) == ""
