"""A connection to a pod's port: whatever comes of the pod is passed on, in whatever order its frames come."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.client.exit_status import GatewayFailed
from gateway.client.tunnel import PodPort, Tunnel
from gateway.client.upgrade import Upgraded
from gateway.protocol import spdy
from gateway.protocol.spdy import Control

ERROR, DATA = 1, 3  # the first connection's streams
ORDERS = {
    "replies first": ["error", "data", "bytes", "more", "end"],
    "bytes before their stream's reply": ["error", "bytes", "data", "more", "end"],
    "bytes before all replies": ["bytes", "more", "data", "error", "end"],
    "all before the replies": ["bytes", "more", "end", "error", "data"],
    "a ping between": ["error", "bytes", "ping", "data", "more", "end"],
}


@asynccontextmanager
async def tunnel_to(pod):
    """Enters with a tunnel whose other side is the coroutine `pod`, with what the tunnel sends and takes."""
    async with await asyncio.start_server(pod, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield Tunnel(PodPort("default", "default", "web-0", "", 80), Upgraded(reader, writer, b""))
        finally:
            writer.close()
            await writer.wait_closed()


def reset(stream):
    return b"\x80\3\0\3\0\0\0\x08" + stream.to_bytes(4, "big") + (2).to_bytes(4, "big")  # CANCEL


@pytest.mark.parametrize("refused", [ERROR, DATA])
async def test_a_stream_that_the_pod_does_not_take_ends_the_wait(refused):
    async def pod(reader, writer):
        writer.write(spdy.Encoder().syn_reply(ERROR + DATA - refused) + reset(99) + reset(refused))
        await reader.read()
        writer.close()

    async with tunnel_to(pod) as tunnel:
        with pytest.raises(GatewayFailed, match=r"the pod's port was not opened$"):
            await tunnel.connect()


async def test_what_is_no_spdy_ends_the_connection():
    async def pod(reader, writer):
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        await reader.read()
        writer.close()

    async with tunnel_to(pod) as tunnel:
        with pytest.raises(
            GatewayFailed, match=r"what came from the pod's port cannot be read: a SPDY frame"
        ):
            await tunnel.connect()


@pytest.mark.parametrize("order", ORDERS)
async def test_what_the_pod_says_first_is_not_lost(order):
    pings, ended = [], asyncio.Event()

    async def pod(reader, writer):
        encoder, decoder = spdy.Encoder(), spdy.Decoder()
        frames = {
            "error": encoder.syn_reply(ERROR), "data": encoder.syn_reply(DATA), "ping": spdy.ping(b"\0\0\0\2"),
            "bytes": spdy.data(DATA, b"220 ready\r\n"), "more": spdy.data(DATA, b"more"),
            "end": spdy.data(DATA, b"", fin=True),
        }  # fmt: skip
        writer.write(b"".join(frames[name] for name in ORDERS[order]))
        while data := await reader.read(1000):
            pings.extend(one for one in decoder.receive(data) if one.kind == Control.PING)
        writer.close()
        ended.set()

    async with tunnel_to(pod) as tunnel:
        await tunnel.connect()
        found = b""
        while data := await tunnel.read():
            found += data
    await ended.wait()

    assert found == b"220 ready\r\nmore"
    assert len(pings) == ORDERS[order].count("ping")
