"""A gateway whose name has several addresses: `dap` reaches the one that answers, and names all of them when none does."""

import asyncio
import http.server
import socket
import threading

import pytest
from support.addresses import SILENT, name, silence
from support.cuttable import pump
from support.fake_gateway import fake_tcp_gateway
from support.tls_front import listener, tls_front

from gateway.client import websocket as client
from gateway.client.connection import attach
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import GatewayFailed
from gateway.client.http import request

HOST = "dap.test"


class Answering(http.server.BaseHTTPRequestHandler):
    """Says which Host it was asked for."""

    def do_GET(self):
        answer = b'"%s"' % self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    """An HTTP server on 127.0.0.1."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


async def hello(gateway):
    await gateway.hello()
    await gateway.end(0)


def test_a_request_goes_to_the_address_that_answers(monkeypatch, port):
    name(monkeypatch, HOST, SILENT, "127.0.0.1")
    with silence(port):
        assert request(Endpoint(f"http://{HOST}:{port}"), "GET", "/", timeout=60) == (200, f"{HOST}:{port}")


async def test_a_request_with_tls_does_too_and_checks_the_name(monkeypatch, port, tmp_path):
    name(monkeypatch, "localhost", SILENT, "127.0.0.1")
    name(monkeypatch, HOST, "127.0.0.1")
    listening, where = listener()
    front = int(where.partition(":")[2])
    async with tls_front(listening, f"http://127.0.0.1:{port}") as certificate:
        (tmp_path / "ca").write_text(certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca"))
        with silence(front):
            answered = await asyncio.to_thread(
                request, Endpoint(f"https://localhost:{front}"), "GET", "/", timeout=60
            )
        with pytest.raises(GatewayFailed, match=r"Hostname mismatch.* \(127\.0\.0\.1\)"):
            await asyncio.to_thread(request, Endpoint(f"https://{HOST}:{front}"), "GET", "/", timeout=60)

    assert answered == (200, where)


def test_a_request_that_nobody_answers_names_the_addresses(monkeypatch, port):
    name(monkeypatch, HOST, SILENT, "127.0.0.3")
    with silence(port), pytest.raises(GatewayFailed) as caught:
        request(Endpoint(f"http://{HOST}:{port}"), "GET", "/", timeout=0.5)

    assert str(caught.value) == (
        f"no answer from the gateway at http://{HOST}:{port}: "
        f"{SILENT} (no answer within 0.5 s), 127.0.0.3 (Connection refused)"
    )


def test_a_request_whose_answer_does_not_come_names_the_address():
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(GatewayFailed) as caught:
        request(Endpoint(f"http://localhost:{mute.getsockname()[1]}"), "GET", "/", timeout=0.3)

    assert str(caught.value).endswith(": timed out (127.0.0.1)")


async def test_a_session_goes_to_the_address_that_answers(monkeypatch):
    name(monkeypatch, HOST, SILENT, "127.0.0.1")
    async with fake_tcp_gateway(hello) as (_, url):
        port = int(url.rpartition(":")[2])
        with silence(port):
            async with attach(Endpoint(f"http://{HOST}:{port}"), "/") as connection:
                assert (await connection.receive()).body["type"] == "hello"


async def test_a_session_with_tls_does_too_and_checks_the_name(monkeypatch, tmp_path):
    name(monkeypatch, "localhost", SILENT, "127.0.0.1")
    name(monkeypatch, HOST, "127.0.0.1")
    listening, where = listener()
    async with fake_tcp_gateway(hello) as (_, url), tls_front(listening, url) as certificate:
        (tmp_path / "ca").write_text(certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca"))
        with silence(int(where.partition(":")[2])):
            async with attach(Endpoint(f"https://{where}"), "/") as connection:
                assert (await connection.receive()).body["type"] == "hello"
        with pytest.raises(GatewayFailed, match="Hostname mismatch"):
            async with attach(Endpoint(f"https://{HOST}:{where.partition(':')[2]}"), "/"):
                pass


async def test_a_session_goes_through_the_address_of_the_proxy_that_answers(monkeypatch, tmp_path):
    """A proxy that does what CONNECT asks for, behind a name of two addresses."""

    async def tunnel(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split()[1])
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", front)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, inner_writer))
            group.create_task(pump(inner_reader, writer))

    asked = []
    listening, where = listener()
    front = int(where.partition(":")[2])
    name(monkeypatch, "proxy.test", SILENT, "127.0.0.1")
    async with (
        fake_tcp_gateway(hello) as (_, url),
        tls_front(listening, url) as certificate,
        await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy,
    ):
        port = proxy.sockets[0].getsockname()[1]
        (tmp_path / "ca").write_text(certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca"))
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.test:{port}")
        monkeypatch.setattr(
            "gateway.client.endpoint.is_loopback", lambda _: False
        )  # a proxy for what else is this machine
        with silence(port):
            async with attach(Endpoint(f"https://localhost:{front}"), "/") as connection:
                assert (await connection.receive()).body["type"] == "hello"

    assert asked == [where.encode()]


async def test_a_session_that_nobody_answers_names_the_addresses(monkeypatch):
    monkeypatch.setattr(client, "OPEN", 0.5)
    name(monkeypatch, HOST, SILENT, "127.0.0.3")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with silence(port), pytest.raises(GatewayFailed) as caught:
        async with attach(Endpoint(f"http://{HOST}:{port}"), "/"):
            pass

    assert str(caught.value) == (
        f"cannot reach the gateway at http://{HOST}:{port}: "
        f"{SILENT} (no answer within 0.5 s), 127.0.0.3 (Connection refused)"
    )


@pytest.mark.parametrize("proxied", [False, True])
async def test_a_session_whose_handshake_stands_still_names_who_took_the_connection(monkeypatch, proxied):
    monkeypatch.setattr(client, "OPEN", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        where = f"127.0.0.1:{mute.getsockname()[1]}"
        endpoint, said = Endpoint(f"http://{where}"), "127.0.0.1 took the connection and gave no answer"
        if proxied:
            monkeypatch.delenv("NO_PROXY")
            monkeypatch.setenv("HTTPS_PROXY", f"http://{where}")
            endpoint, said = Endpoint("https://dap.example.com"), f"no answer through the proxy {where}"
        with pytest.raises(GatewayFailed, match=f"{said} within 0.3 s"):
            async with attach(endpoint, "/"):
                pass


async def test_a_redirect_is_no_gateway():
    async def redirect(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(redirect, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(GatewayFailed, match=r"127\.0\.0\.1 answers with a redirect"):
            async with attach(Endpoint(f"http://127.0.0.1:{port}"), "/"):
                pass
