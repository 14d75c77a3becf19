"""Which proxy a request goes through, for WebSocket and REST alike, and what is said of one that cannot be used."""

import asyncio
import contextlib
from urllib.parse import urlsplit

import pytest
from support.connect_proxy import connect_proxy
from support.fake_gateway import fake_tcp_gateway
from support.repeated import again
from support.tls_front import listener, tls_front

from gateway.client.connection import attach
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import GatewayFailed
from gateway.client.http import request
from gateway.client.proxy import ProxyUnusable, proxy_for

VARIABLES = [f"{kind}_proxy" for kind in ("http", "https", "all", "no")]


@pytest.fixture
def env(monkeypatch):
    """A function that sets these variables, and no other of a proxy."""
    for name in (*VARIABLES, "ws_proxy", "wss_proxy", "socks_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def put(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def chosen(url="https://dap.example.com"):
    parts = urlsplit(url)
    found = proxy_for(parts.scheme, parts.hostname, parts.port or 443)
    return found and str(found)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:8"}, "p:8"),
        ({"https_proxy": "http://small:8", "HTTPS_PROXY": "http://p:8"}, "small:8"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://p:8"}, None),
        ({"HTTP_PROXY": "http://p:8"}, None),
        ({"ALL_PROXY": "http://p:8"}, "p:8"),
        ({"ALL_PROXY": "http://p:8", "HTTPS_PROXY": "http://q:8"}, "q:8"),
        ({"HTTPS_PROXY": "p:8"}, "p:8"),
        ({"HTTPS_PROXY": "http://p"}, "p:80"),
        ({"HTTPS_PROXY": "https://p"}, "p:443"),
        ({"HTTPS_PROXY": "http://ann@p:8/"}, "p:8"),
    ],
)
def test_the_variables_are_those_of_curl(env, variables, expected):
    env(**variables)

    assert chosen() == expected


def test_http_has_a_variable_of_its_own_that_a_cgi_cannot_trust(env):
    env(HTTP_PROXY="http://p:8")
    assert chosen("http://dap.example.com:80") == "p:8"
    env(REQUEST_METHOD="GET")
    assert chosen("http://dap.example.com:80") is None


@pytest.mark.parametrize(
    ("excepted", "url"),
    [
        ("*", "https://dap.example.com"), ("dap.example.com", "https://dap.example.com"),
        ("example.com", "https://dap.example.com"), (".example.com", "https://dap.example.com"),
        ("*.example.com", "https://dap.example.com"), ("EXAMPLE.com.", "https://DAP.example.com."),
        ("a, dap.example.com:8443", "https://dap.example.com:8443"), ("x y example.com", "https://dap.example.com"),
        ("10.0.0.0/8", "https://10.20.30.40"), ("10.20.30.40", "https://10.20.30.40"),
        ("10.20.30.40:443", "https://10.20.30.40"), ("fd00::/8", "https://[fd00::1]"), ("[fd00::1]", "https://[fd00::1]"),
        ("fd00::1", "https://[fd00:0::1]"), ("[fd00::1]:8443", "https://[fd00::1]:8443"),
        ("10.0.0.0/8", "https://[::ffff:10.1.1.1]"),
    ],
)  # fmt: skip
def test_no_proxy_excepts_names_addresses_and_networks(env, excepted, url):
    env(HTTPS_PROXY="http://p:8", NO_PROXY=excepted)

    assert chosen(url) is None


@pytest.mark.parametrize(
    ("excepted", "url"),
    [
        ("", "https://dap.example.com"), ("other.com", "https://dap.example.com"), ("p.example.com", "https://dap.example.com"),
        ("ample.com", "https://dap.example.com"), ("dap.example.com:8443", "https://dap.example.com"),
        ("10.0.0.0/8", "https://11.0.0.1"), ("10.0.0.0/99", "https://10.0.0.1"), ("0.0.1", "https://10.0.0.1"),
        ("fd00::/8", "https://[fe80::1]"), (".", "https://dap.example.com"), ("10.0.0.0/8", "https://dap.example.com"),
    ],
)  # fmt: skip
def test_what_no_proxy_does_not_name_goes_through_the_proxy(env, excepted, url):
    env(HTTPS_PROXY="http://p:8", NO_PROXY=excepted)

    assert chosen(url) == "p:8"


SOCKS = ["socks5://ann:s3cret@p:8", "socks5h://p:8", "socks4://p", "socks://p"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("HTTPS_PROXY", text) for text in SOCKS), ("https_proxy", SOCKS[0]), ("ALL_PROXY", SOCKS[0]),
        *(again(name, text) for name in ("https_proxy", "ALL_PROXY") for text in SOCKS[1:]),
    ],
)  # fmt: skip
async def test_socks_is_refused_in_words_for_both(env, name, text):
    env(**{name: text})
    endpoint = Endpoint("https://dap.example.com", token="t")
    with pytest.raises(GatewayFailed, match=f"{name} names a SOCKS proxy, which dap does not speak") as rest:
        await asyncio.to_thread(request, endpoint, "GET", "/")
    with pytest.raises(
        GatewayFailed, match=f"{name} names a SOCKS proxy, which dap does not speak"
    ) as session:
        async with attach(endpoint, "/"):
            pass

    assert str(rest.value) == str(session.value)
    assert "s3cret" not in str(rest.value)


@pytest.mark.parametrize(
    "text", ["ftp://p:8", "http://", "http://p:99999", "http://p/path", "http://p?q", "http://a b", "://p"]
)
def test_what_is_no_proxy_is_refused_in_words(env, text):
    env(HTTPS_PROXY=text)

    with pytest.raises(ProxyUnusable, match="the proxy that HTTPS_PROXY names cannot be used"):
        chosen()


@contextlib.asynccontextmanager
async def gateway_behind_a_proxy(tmp_path, env, *, tls):
    """(its endpoint, what the proxy was asked) of a gateway with TLS that only the proxy leads to."""

    async def hello(client):
        await client.hello()
        await client.end(0)

    listening, where = listener()
    async with contextlib.AsyncExitStack() as stack:
        gateway, url = await stack.enter_async_context(fake_tcp_gateway(hello))
        gateway.http["/gateway/v1/sessions"] = (200, {"sessions": []})
        trusted = await stack.enter_async_context(tls_front(listening, url))
        port, asked = await stack.enter_async_context(connect_proxy(int(where.partition(":")[2])))
        proxy = f"http://ann:s%40cret@127.0.0.1:{port}"
        if tls:
            front, named = listener()
            trusted += await stack.enter_async_context(tls_front(front, f"http://127.0.0.1:{port}"))
            proxy = f"https://ann:s%40cret@{named}"
        (tmp_path / "ca").write_text(trusted)
        env(SSL_CERT_FILE=str(tmp_path / "ca"), HTTPS_PROXY=proxy)
        yield Endpoint(f"https://{where}"), asked


@pytest.mark.parametrize("tls", [False, True])
async def test_both_go_through_the_same_tunnel(tmp_path, env, monkeypatch, tls):
    monkeypatch.setattr(
        "gateway.client.endpoint.is_loopback", lambda _: False
    )  # this machine is all that there is
    async with gateway_behind_a_proxy(tmp_path, env, tls=tls) as (endpoint, asked):
        answered = await asyncio.to_thread(request, endpoint, "GET", "/gateway/v1/sessions")
        async with attach(endpoint, "/") as connection:
            assert (await connection.receive()).body["type"] == "hello"

    assert answered == (200, {"sessions": []})
    where = urlsplit(endpoint.url).netloc
    assert len(asked) == 2
    for head in asked:
        assert head.startswith(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n")
        assert "\r\nProxy-Authorization: Basic YW5uOnNAY3JldA==\r\n" in head
        assert "s%40cret" not in head


@pytest.mark.parametrize(
    "where", ["localhost", "127.0.0.1", "127.0.0.2", "[::1]", "localhost.", "[::ffff:127.0.0.1]"]
)
def test_a_gateway_of_this_machine_has_no_proxy(env, where):
    from gateway.client.reach import proxy_of

    env(HTTPS_PROXY="http://p:8", HTTP_PROXY="http://p:8", ALL_PROXY="http://p:8")

    assert proxy_of(Endpoint(f"http://{where}:8080")) is None
    assert proxy_of(Endpoint(f"https://{where}")) is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", r"takes no tunnel \(407\): put USER:PASSWORD@ into HTTPS_PROXY"),
        (b"HTTP/1.1 403 s3cret\r\n\r\n", r"takes no tunnel \(403\)"), (b"", "does not answer as an HTTP proxy does"),
        (b"HTTP/1.1 200 OK\r\n", "does not answer as"), (b"SSH-2.0-s3cret\r\n\r\n", "does not answer as"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tls", [False, True])
async def test_what_a_proxy_refuses_is_told_by_both(tmp_path, env, answer, words, tls):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    endpoint = Endpoint("https://dap.example.com", token="t")
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(await asyncio.start_server(refuse, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        env(HTTPS_PROXY=f"http://127.0.0.1:{port}")
        if tls:
            front, named = listener()
            trusted = await stack.enter_async_context(tls_front(front, f"http://127.0.0.1:{port}"))
            (tmp_path / "ca").write_text(trusted)
            env(SSL_CERT_FILE=str(tmp_path / "ca"), HTTPS_PROXY=f"https://{named}")
        with pytest.raises(GatewayFailed, match=words) as rest:
            await asyncio.to_thread(request, endpoint, "GET", "/")
        with pytest.raises(GatewayFailed, match=words) as session:
            async with attach(endpoint, "/"):
                pass

    assert "s3cret" not in f"{rest.value} {session.value}"
