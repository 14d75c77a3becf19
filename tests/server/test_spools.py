"""Output that waits on the gateway's disk has a limit for each identity, and one in all; a slow disk delays its own
session alone.
"""

import asyncio
import json
import os
import threading
import time
from contextlib import asynccontextmanager

from support.peer import BINARY, V5, peer
from support.waiting import until
from test_sessions import page

from gateway.settings.config import Limits

MIB = 1 << 20
POD = "/api/v1/namespaces/default/pods/web-0/exec"
SMALL = {"journal_memory": 65536, "journal_capacity": 64 * MIB}


@asynccontextmanager
async def opened(edge, *argv, proof, rcvbuf=0):
    """A client whose session runs."""
    query = "&".join(f"command={one}" for one in argv)
    async with peer(edge.url, rcvbuf=rcvbuf) as client:
        assert (await client.upgrade(f"{POD}?{query}&stdin=1&stdout=1", (V5, proof))).code == 101
        yield client


def said(heard):
    """The bytes of output, and the Status."""
    streams = [payload for opcode, payload in heard if opcode == BINARY]
    size = sum(len(payload) - 1 for payload in streams if payload[0] == 1)
    return size, json.loads(next(payload[1:] for payload in streams if payload[0] == 3))


async def echoes(client):
    """How long a key's echo takes, seconds."""
    before = time.monotonic()
    client.say(b"\0x")
    while (await client.hear())[1] != b"\1x":
        pass
    return time.monotonic() - before


async def test_the_output_of_an_identity_has_a_common_limit(edge_with, logged):
    edge = await edge_with(Limits(**SMALL, spools=20 * MIB, spools_per_identity=12 * MIB))
    spools = edge.gateway.registry.spools
    async with (
        opened(edge, "flood", "12", proof=page(edge, "ann"), rcvbuf=4096) as first,
        opened(edge, "cat", proof=page(edge, "bob")) as other,
    ):
        # the flood is over, and waits; before, either of the two may reach the limit
        await until(lambda: spools.taken > 9 * MIB and len(edge.gateway.registry.sessions) == 1, 20)
        async with opened(edge, "flood", "32", proof=page(edge, "ann"), rcvbuf=4096) as second:
            await until(lambda: edge.outcomes().get("slow_client"), 10)
            assert spools.taken <= 12 * MIB
            size, status = said(await second.rest())
        assert size < 8 * MIB
        assert "what the sessions of ann keep on disk may take 12 MiB (slow_client)" in status["message"]
        assert await echoes(other) < 1
        size, status = said(await first.rest())
        assert (size, status["status"]) == (12 * MIB, "Success")
    await edge.idle()
    assert spools.taken == 0
    assert [
        line["reason"] for line in map(json.loads, logged().splitlines()) if line["event"] == "spool_limited"
    ] == ["what the sessions of ann keep on disk may take 12 MiB"]


async def test_input_waits_at_the_limit_and_nothing_of_it_is_lost(edge_with):
    edge = await edge_with(Limits(**SMALL, spools=MIB))
    async with opened(edge, "hold", proof=edge.proof) as client:
        for _ in range(200):
            client.say(b"\0" + bytes(65536))
        (session,) = edge.gateway.registry.sessions
        await until(lambda: session.bytes_in > MIB // 2, 10)
        await asyncio.sleep(0.3)
        assert session.bytes_in < 2 * MIB
        assert edge.gateway.registry.spools.taken <= MIB
    await edge.idle()


async def test_a_slow_disk_stops_no_other_session(edge_with, monkeypatch):
    real, allowed = os.pwrite, threading.Event()

    def pwrite(*what):
        assert allowed.wait(30)
        return real(*what)

    monkeypatch.setattr(os, "pwrite", pwrite)
    edge = await edge_with(Limits(**SMALL))
    try:
        async with (
            opened(edge, "flood", "16", proof=edge.proof, rcvbuf=4096) as first,
            opened(edge, "hold", proof=edge.proof) as second,
            opened(edge, "cat", proof=edge.proof) as other,
        ):
            for _ in range(100):
                second.say(b"\0" + bytes(65536))
            await until(lambda: edge.gateway.registry.spools.taken > 2 * MIB, 10)
            waits = [await echoes(other) for _ in range(50)]
            assert max(waits) < 0.5
            (flood,) = (one for one in edge.gateway.registry.sessions if one.command.argv[0] == "flood")
            assert flood.output.end < 8 * MIB, "the output waits, and not in memory"
            allowed.set()
            size, status = said(await first.rest())
            assert (size, status["status"]) == (16 * MIB, "Success")
    finally:
        allowed.set()
    await edge.idle()
