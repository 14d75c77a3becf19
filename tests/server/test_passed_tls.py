"""A client that passes bytes over TLS and ends its half of the connection first."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import replace

from support.scripted import Scripted
from support.served import config_for, served
from support.upstream import upstream_at
from support.waiting import until
from test_relayed_api import POD, SWITCHED


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

    config = replace(config_for(), tls_listen="localhost:0")
    async with (
        served(config, tmp_path, authority=tmp_path / "tls") as running,
        upstream_at(tmp_path / "api.sock") as (upstream, api),
    ):
        backend = running.gateway.backends["default"] = Scripted()
        backend.kube, upstream.answer = api, answer
        port = running.gateway.tls.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        client = TlsClient(reader, writer, running.gateway.tls.ca)
        await client.do(client.tls.do_handshake)
        lines = f"Host: localhost:{port}\r\nAuthorization: Bearer {running.token}\r\nContent-Length: 0\r\n"
        head = f"POST {POD}/portforward HTTP/1.1\r\n{lines}Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
        await client.do(client.tls.write, head.encode())
        await client.until(b"first")
        await client.do(client.tls.write, b"ask")
        assert await client.until(b"told") == b"told"
        client.end()
        await asyncio.wait_for(ended.wait(), 5)
        await asyncio.wait_for(reader.read(), 5)  # the connection ends at once
        late.set()
        await until(lambda: not running.gateway.relayed.sessions.live, 3)
        text = running.gateway.metrics.text().decode()
        writer.close()

    assert 'dap_sessions_total{cluster="default",hop="client",outcome="client_closed",way=""} 1.0' in text
