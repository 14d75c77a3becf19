"""A gateway whose machine has slept: what goes on, what ends by name, and how soon a new session opens."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import pytest
from support.cuttable import cuttable
from support.exec_client import Access
from support.leaks import alive
from support.repeated import again
from support.resuming import Resuming, shell
from support.served import cluster_at, config_for, served
from support.slept import Sleeper
from support.waiting import until

from gateway import sleep_watch
from gateway.backends.orphans.reaper import Reaper
from gateway.backends.plain.backend import PlainBackend
from gateway.backends.relay import RelayBackend, link
from gateway.backends.relay.credentials import RelayCredentials, throw_away
from gateway.backends.ssh import connection
from gateway.backends.ssh.host import Host
from gateway.protocol.outcome import Hop
from gateway.protocol.target import Command, Target
from gateway.settings.config import Limits

pytestmark = pytest.mark.timeout(90)
MODES = ["plain", "relay"]
POD, RUNNER = Target("default", "default", "bash-0"), Target("default")
NIGHT = 8 * 3600.0


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """The clocks are looked at often, and a connection that answers no ping is given up soon."""
    monkeypatch.setattr(sleep_watch, "LOOK", 0.2)
    monkeypatch.setattr(connection, "_PING", 0.3)


@asynccontextmanager
async def behind_a_forwarder(demo, directory, mode):
    """The way to the demo's host, which may freeze."""
    host, _, port = demo.ssh_host.rpartition(":")
    async with cuttable(int(port), host.rpartition("@")[2]) as way:
        known = directory / "known"
        known.write_text(f"[127.0.0.1]:{way.port} {demo.known_hosts.read_text().split(' ', 1)[1]}")
        user = host.rpartition("@")[0]
        yield way, cluster_at(f"{user}@127.0.0.1:{way.port}", demo.ssh_key, known, demo.instance, mode=mode)


@asynccontextmanager
async def gateway_on(demo, directory, mode, monkeypatch):
    sleeps = Sleeper()
    monkeypatch.setattr("gateway.server.gateway.SleepWatch", lambda: sleeps)
    async with (
        behind_a_forwarder(demo, directory, mode) as (way, cluster),
        served(config_for(cluster), directory) as gateway,
    ):
        yield sleeps, way, gateway


@pytest.mark.parametrize("mode", MODES)
async def test_what_cannot_resume_ends_by_name_soon_after_the_sleep(demo, tmp_path, monkeypatch, mode):
    async with gateway_on(demo, tmp_path, mode, monkeypatch) as (sleeps, way, gateway):
        access = Access(gateway.url, gateway.token)
        old = await Resuming(access).open(shell("sh", "-c", "echo awake; cat", pod="", resume=False))
        await old.until(lambda: b"awake" in old.output)
        way.freeze()
        began = asyncio.get_running_loop().time()
        sleeps.clocks.sleep(NIGHT)  # the gateway's own look at the clocks notices that
        way.moving_for_new_connections()
        await old.until(lambda: old.over, 10)

        assert (old.end["code"], old.end["hop"]) == ("ssh_lost", "ssh")
        assert "this machine slept for 28800 s" in old.end["message"]
        fresh = await Resuming(access).open(shell("echo", "again", pod=""))
        await fresh.until(lambda: fresh.over, 5)
        assert b"again" in fresh.output
        assert asyncio.get_running_loop().time() - began < 10
        await old.gone()
        await fresh.gone()
        way.thaw()


async def test_what_can_resume_goes_on_soon_after_the_sleep(demo, tmp_path, monkeypatch):
    async with gateway_on(demo, tmp_path, "relay", monkeypatch) as (sleeps, way, gateway):
        client = await Resuming(Access(gateway.url, gateway.token)).open(shell("cat", pod=""))
        await client.type(b"awake\n")
        await client.until(lambda: b"awake" in client.output)
        way.freeze()
        sleeps.clocks.sleep(NIGHT)
        way.moving_for_new_connections()
        await client.type(b"after\n")
        await client.until(lambda: b"after\r\nafter" in client.output, 10)

        assert client.hops[:1] == ["ssh_lost"]
        await client.close()
        way.thaw()


async def test_the_check_of_the_hops_from_before_the_sleep_is_forgotten(demo, tmp_path, monkeypatch):
    async with gateway_on(demo, tmp_path, "plain", monkeypatch) as (sleeps, _, gateway):
        checks, backend = gateway.gateway.checks, gateway.gateway.backends["default"]
        _, before = await checks.get("default", backend)
        assert (await checks.get("default", backend))[1] is before
        sleeps.sleep(NIGHT)
        assert (await checks.get("default", backend))[1] is not before


@asynccontextmanager
async def plain(cluster, sleeps):
    limits = Limits()
    host, reaper = Host(cluster, limits, sleeps=sleeps), Reaper(limits)
    backend = PlainBackend(cluster, limits, host, reaper, tick=0.2)
    async with host.running(), backend.running(), reaper.running():
        yield backend, lambda: backend.stats().connections["leases"]


@asynccontextmanager
async def relay(cluster, sleeps, monkeypatch):
    settings = RelayCredentials.settings
    monkeypatch.setattr(RelayCredentials, "settings", lambda *args: {**settings(*args), "lease": 0.8})
    monkeypatch.setattr(link, "PING", 0.2)
    limits = Limits()
    host, reaper = Host(cluster, limits, sleeps=sleeps), Reaper(limits)
    backend = RelayBackend(cluster, limits, host, throw_away(), reaper)
    async with host.running(), backend.running(), reaper.running():
        yield backend, lambda: True


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("target", "slept"),
    [(POD, NIGHT), (RUNNER, 0.0), again(POD, 0.0), again(RUNNER, NIGHT)],
    ids=["pod-slept", "runner", "pod", "runner-slept"],
)
async def test_what_the_lease_ended_meanwhile_ends_by_the_sleeps_name(
    demo, tmp_path, monkeypatch, mode, target, slept
):
    """The connection has outlived the sleep, and the far side has heard nothing for too long."""
    sleeps = Sleeper()
    made = plain if mode == "plain" else partial(relay, monkeypatch=monkeypatch)
    command = Command(("sh", "-c", "echo $$; exec sleep 1000"), "exec" if target.pod else "run", stdout=True)
    async with (
        behind_a_forwarder(demo, tmp_path, mode) as (way, cluster),
        made(cluster, sleeps) as (backend, leased),
        backend.exec(target, command) as channel,
    ):
        output = channel.output()
        pid = int((await anext(output))[1])
        await until(leased)
        await asyncio.sleep(0.3)
        way.freeze()
        await until(lambda: not alive(pid))
        sleeps.clocks.sleep(slept)
        way.thaw()
        async for _ in output:
            pass
        outcome = await channel.wait()

    named = (outcome.code, outcome.hop) == ("ssh_lost", Hop.SSH)
    assert named == bool(slept), outcome
    assert ("this machine slept for 28800 s" in outcome.message) == bool(slept)
