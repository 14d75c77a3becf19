"""Terminals that one person opens, floods, never reads and drops: what they hold is bounded, and others work beside them."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.exec_client import Access
from support.repeated import again
from support.resuming import Resuming, shell
from support.served import cluster_at, config_for, served
from support.waiting import until
from test_sessions import page
from websockets.exceptions import ConnectionClosed

from gateway.settings.config import Limits

MIB = 1 << 20
pytestmark = pytest.mark.timeout(240)
SOON = 3.0  # seconds that a key's echo may take on a machine that others flood


def proof(gateway, name):
    """What lets this person in."""
    return Access(gateway.url, page(gateway, name)[1].removeprefix("Bearer "))


async def dropped(access, size):
    """Opens a terminal, floods it with so many bytes, reads none of them and leaves without a close. Returns the code
    of a refusal.
    """
    client = Resuming(access, deaf=True)
    flood = f"stty -onlcr; head -c {size} /dev/zero; exit 3"
    with suppress(ConnectionClosed):
        await client.open(shell("sh", "-c", flood))
        if client.refused is None:
            await client.control(type="seen", offset=0)  # so that the session waits for its client
            await client.until(lambda: client.output or client.over)
    await client.cut()
    return client.refused and client.refused["code"]


async def works(access, rounds=1):
    """Opens a session, types, and ends the session: the longest wait for an echo."""
    longest = 0.0
    for _ in range(rounds):
        client = Resuming(access)
        await client.open(shell("cat"))
        await client.until(lambda c=client: any(one["type"] == "started" for one in c.controls))
        for count in range(5):
            before, line = time.monotonic(), b"word %d\n" % count
            await client.type(line)
            await client.until(lambda c=client, n=count: c.output.count(b"word %d\r\n" % n) == 2)
            longest = max(longest, time.monotonic() - before)
        await client.type(b"\x04")
        await client.until(lambda c=client: c.over)
        assert client.end["exitCode"] == 0
        await client.gone()
    return longest


def spooled(pid):
    """Bytes of a process's spools on the disk."""
    total = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if "/dap-" in (name := str(link.readlink())) and name.endswith("(deleted)"):
                total += link.stat().st_blocks * 512
    return total


def resident():
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(("count", "most", "size"), [(40, 8, 2 * MIB), again(500, 50, 8 * MIB)])
async def test_unread_terminals_that_were_dropped_take_nothing_from_others(demo, tmp_path, count, most, size):
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    caps = {"spools": 2 * most * size, "spools_per_identity": most * size // 2}
    limits = Limits(
        sessions=2 * most, sessions_per_identity=most, ended_counts=1.0, journal_memory=65536, **caps
    )
    async with served(config_for(cluster, limits=limits), tmp_path) as gateway:
        registry, ann, ben = gateway.gateway.registry, proof(gateway, "ann"), proof(gateway, "ben")
        await works(ben)
        relay = gateway.gateway.backends["default"]._links.now.about["pid"]
        before = resident()
        refused = []

        async def attack():
            for _ in range(count // 10):
                refused.extend(await asyncio.gather(*(dropped(ann, size) for _ in range(10))))

        async with asyncio.TaskGroup() as tasks:
            attacking, longest = tasks.create_task(attack()), 0.0
            while not attacking.done():
                longest = max(longest, await works(ben))
                assert registry.spools.taken <= caps["spools_per_identity"]
                for pid in (os.getpid(), relay):
                    assert spooled(pid) <= caps["spools_per_identity"] + MIB
        assert longest < SOON
        assert refused.count("too_many_sessions") + refused.count(None) == count
        assert refused.count("too_many_sessions") > 0
        assert resident() - before < 64 * MIB + 2 * most * limits.journal_memory

        hers = [one for one in registry.sessions if one.identity.name == "ann"]
        await until(lambda: all(one.over.done() for one in hers), 60)
        assert {one.outcome.exit_code for one in hers} == {3}
        await until(lambda: not registry.quota.sessions, 5)
        assert await dropped(ann, 10) is None, "what has ended holds its place no longer"
        assert await works(ben, 3) < SOON  # each end makes room among those that wait for a client
        await until(
            lambda: len([one for one in registry.sessions if one.over.done()]) <= limits.sessions, SOON
        )
