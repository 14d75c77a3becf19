"""A client that passes bytes over TLS, and ends its half of the connection first, or breaks it."""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from support.scripted import Scripted
from support.served import config_for, served
from support.upstream import upstream_at
from support.waiting import until
from test_relayed_api import POD, SWITCHED

from gateway.settings.config import Limits


class TlsClient:
    """Speaks TLS by hand: neither asyncio nor an SSL socket sends the end of one direction alone."""

    def __init__(self, reader, writer, trusted):
        self.reader, self.writer = reader, writer
        self.taken, self.given = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cadata=trusted)
        self.tls = context.wrap_bio(self.taken, self.given, server_hostname="localhost")

    async def do(self, step, *words):
        """Repeats the step until it needs no more bytes, and returns its answer."""
        while True:
            try:
                return step(*words)
            except ssl.SSLWantReadError:
                self.flush()
                data = await asyncio.wait_for(self.reader.read(65536), 5)
                self.taken.write(data) if data else self.taken.write_eof()
            finally:
                self.flush()

    def flush(self):
        self.writer.write(self.given.read())

    def end(self):
        """Sends close_notify, and reads on."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    async def until(self, mark):
        """Reads up to the mark."""
        text = b""
        while mark not in text:
            text += await self.do(self.tls.read, 65536)
        return text


@asynccontextmanager
async def upstream_behind_tls(directory, limits=None):
    """Yields a gateway that listens with TLS, and the API server behind it."""
    config = replace(config_for(limits=limits), tls_listen="localhost:0")
    async with (
        served(config, directory, authority=directory / "tls") as running,
        upstream_at(directory / "api.sock") as (upstream, api),
    ):
        running.gateway.backends["default"] = Scripted()
        running.gateway.backends["default"].kube = api
        yield running, upstream


async def connected(running):
    """Returns a client whose handshake is done."""
    port = running.gateway.tls.sockets[0].getsockname()[1]
    client = TlsClient(*await asyncio.open_connection("127.0.0.1", port), running.gateway.tls.ca)
    await client.do(client.tls.do_handshake)
    return client


def post(running, *lines):
    """Returns the head of a request for a port of a pod."""
    port = running.gateway.tls.sockets[0].getsockname()[1]
    first = (f"Host: localhost:{port}", f"Authorization: Bearer {running.token}")
    return "\r\n".join([f"POST {POD}/portforward HTTP/1.1", *first, *lines, "", ""]).encode()


SPDY = ("Content-Length: 0", "Connection: Upgrade", "Upgrade: SPDY/3.1")


async def test_the_end_of_its_half_is_the_end_and_what_was_sent_arrives(tmp_path):
    late, ended = asyncio.Event(), asyncio.Event()

    async def answer(_, reader, writer):
        writer.write(SWITCHED + b"first")
        assert await reader.readexactly(3) == b"ask"
        writer.write(b"told")
        await writer.drain()
        assert await reader.read() == b""  # the cluster reads the end
        ended.set()
        await late.wait()
        writer.write(b"late")

    async with upstream_behind_tls(tmp_path) as (running, upstream):
        upstream.answer = answer
        client = await connected(running)
        await client.do(client.tls.write, post(running, *SPDY))
        await client.until(b"first")
        await client.do(client.tls.write, b"ask")
        assert await client.until(b"told") == b"told"
        client.end()
        await asyncio.wait_for(ended.wait(), 5)
        await asyncio.wait_for(client.reader.read(), 5)  # the connection ends at once
        late.set()
        await until(lambda: not running.gateway.relayed.sessions.live, 3)
        text = running.gateway.metrics.text().decode()
        client.writer.close()

    assert 'dap_sessions_total{cluster="default",hop="client",outcome="client_closed",way=""} 1.0' in text


@pytest.mark.parametrize("lines", [SPDY, ("Content-Length: 9",)], ids=["passed", "body"])
async def test_whose_tls_breaks_has_left(tmp_path, lines):
    """What says so is an OSError, and no ConnectionError, as is that of a kernel whose client no longer acknowledges."""

    async def answer(_, reader, writer):
        writer.write(SWITCHED + b"first")
        await reader.read()

    async with upstream_behind_tls(tmp_path) as (running, upstream):
        upstream.answer = answer
        client = await connected(running)
        with capture_logs() as logs:
            await client.do(client.tls.write, post(running, *lines))
            await upstream.until_open(1)
            if lines == SPDY:
                await client.until(b"first")
            client.writer.write(b"no TLS")
            await upstream.until_open(0)
            await until(lambda: not running.gateway.relayed.sessions.live, 3)
        client.writer.close()

    assert [log for log in logs if log["log_level"] == "error"] == []


async def test_a_connection_that_is_being_closed_can_be_looked_at(tmp_path, caplog):
    """Its client answers no close_notify, and has its limits, as all have that are looked at behind it."""

    async def cut(_, reader, writer):
        del reader
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        writer.close()

    async with upstream_behind_tls(tmp_path, Limits(head=1.0)) as (running, upstream):
        upstream.answer = cut
        client = await connected(running)
        await client.do(client.tls.write, post(running, "Content-Length: 0"))
        await client.until(b"half")
        silent = await connected(running)
        assert (await silent.until(b"\r\n")).startswith(b"HTTP/1.1 408 ")
        client.writer.close()
        silent.writer.close()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
