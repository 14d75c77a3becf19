"""Channels on shared connections, with a real SSH server: what a caller that goes away costs the others."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import asyncssh
import pytest
from support.cuttable import cuttable
from support.served import cluster_at
from support.slept import Sleeper
from support.sshd import LOOPBACK, sshd
from support.waiting import until

from gateway.backends.ssh import connection
from gateway.backends.ssh.host import Host
from gateway.settings.config import Limits

LIMITS = Limits(ssh_connect=5.0, ssh_login=10.0, start=5.0, finish=1.0, ssh_channel=5.0)


@asynccontextmanager
async def reached(folder, limits=LIMITS, sleeps=None, through=None):
    """An SSH server, and our side of it, `through` a forwarder that is entered with the server's port."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "id").write_bytes(key.export_private_key("openssh"))
    (folder / "id").chmod(0o600)
    async with sshd(key) as server, AsyncExitStack() as stack:
        way = await stack.enter_async_context(through(server.port)) if through else server
        known = server.known(folder / "known", port=way.port)
        cluster = cluster_at(f"me@{LOOPBACK}:{way.port}", folder / "id", known, "vm")
        host = Host(cluster, limits, sleeps=sleeps)
        async with host.running():
            yield (server, host, way) if through else (server, host)


async def answer(process, text):
    await process.write(text)
    got = b""
    while text not in got:
        got += b"".join(data for _, data in await process.read())


async def opened(host):
    async with host.process("late"):
        pytest.fail("nobody wanted it")


async def cancelled_while_opening(server, host, count):
    """Callers that go away while their channels are being opened."""
    before, server.slow = server.sessions, True
    async with asyncio.TaskGroup() as tasks:
        leaving = [tasks.create_task(opened(host)) for _ in range(count)]
        await until(lambda: server.sessions == before + count)
        for task in leaving:
            task.cancel()
    assert all(task.cancelled() for task in leaving)


async def test_who_goes_away_while_a_channel_is_opened_costs_nobody_the_connection(tmp_path):
    async with reached(tmp_path) as (server, host), host.process("kept") as kept:
        await cancelled_while_opening(server, host, 3)
        assert host.counts()["channels"] == 4, "a channel counts until the host has answered"
        server.slow = False
        await until(lambda: server.sessions == 1)
        await until(lambda: host.counts()["channels"] == 1)
        await answer(kept, b"still here")
        async with host.process("next") as other:
            await answer(other, b"on the same")
        assert server.logins == ["me"]


async def test_a_host_that_never_answers_an_opening_gets_no_further_channels(tmp_path):
    async with (
        reached(tmp_path, replace(LIMITS, ssh_channel=0.3)) as (server, host),
        host.process("kept") as kept,
    ):
        await cancelled_while_opening(server, host, 1)
        await until(lambda: host.counts()["channels"] == 1)
        server.slow = False
        async with host.process("next") as other:
            await answer(other, b"on another")
        await answer(kept, b"still here")
        assert server.logins == ["me", "me"]


async def test_an_end_in_the_middle_of_a_late_opening_leaves_no_task(tmp_path):
    before = asyncio.all_tasks()
    async with reached(tmp_path) as (server, host):
        await cancelled_while_opening(server, host, 2)
        await asyncio.sleep(0)
        server.slow = False
    with suppress(TimeoutError):
        await until(lambda: asyncio.all_tasks() == before, 5)
    assert asyncio.all_tasks() == before


@pytest.fixture
def soon(monkeypatch):
    """Pings after a sleep are given up after 1.5 s."""
    monkeypatch.setattr(connection, "_PING", 0.3)


@pytest.mark.usefixtures("soon")
async def test_after_a_sleep_a_dead_connection_is_found_by_a_ping_and_nobody_waits_for_that(tmp_path):
    """Bytes get no answer: the address has changed, and nothing tells so. The keepalive would take 18 s."""
    sleeps, loop = Sleeper(), asyncio.get_running_loop()
    async with (
        reached(tmp_path, sleeps=sleeps, through=cuttable) as (server, host, way),
        host.process("kept") as kept,
    ):
        await answer(kept, b"awake")
        way.freeze()
        began = loop.time()
        sleeps.sleep(60)
        way.moving_for_new_connections()
        async with host.process("next") as other:
            await answer(other, b"on another")
            assert loop.time() - began < 2
            await kept.wait_closed()
            assert loop.time() - began < 7
            assert kept.lost
            assert "not responding" in kept.failure().message
            await answer(other, b"still here")
        assert server.logins == ["me", "me"]


@pytest.mark.usefixtures("soon")
async def test_after_a_sleep_a_connection_that_answers_goes_on(tmp_path):
    sleeps = Sleeper()
    async with reached(tmp_path, sleeps=sleeps) as (server, host), host.process("kept") as kept:
        for seconds in (15, 3600):
            sleeps.sleep(seconds)
            await answer(kept, b"still here")
            async with host.process("next") as other:
                await answer(other, b"on the same, or on another")
        await asyncio.sleep(1.8)  # for longer than the pings after a sleep wait
        await answer(kept, b"still here")
        assert len(server.logins) <= 3
