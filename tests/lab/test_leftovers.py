"""What sessions leave in pods when hops break and gateways are killed: gone within 30 s, but for what was meant to live."""

import asyncio
import re
import signal
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from support.dap import Home
from support.exec_client import Access
from support.marks import marked
from support.opened import PIPES, TTY, opened
from support.waiting import until

from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(240)]
WITHIN = 30.0  # seconds
NOHUP = "(trap '' HUP; exec sleep 1111)"
RUNNER = ["DAP_RUNNER_SSH_HOST", "DAP_RUNNER_SSH_KEY", "DAP_RUNNER_SSH_KNOWN_HOSTS", "DAP_RUNNER_VM"]


@pytest.fixture(params=["plain", "relay"])
def cluster(cluster, request):
    """Each way."""
    return replace(cluster, mode=request.param)


@asynccontextmanager
async def serving(cluster, home: Home):
    """A gateway in a process of its own, that may be killed."""
    values = (cluster.ssh_host, str(cluster.ssh_key), str(cluster.ssh_known_hosts), cluster.vm)
    env = dict(zip(RUNNER, values, strict=True)) | {"DAP_RUNNER_MODE": cluster.mode}
    process = await home.start("serve", "--listen", "127.0.0.1:0", env=env, stdin=asyncio.subprocess.DEVNULL)
    try:
        line = (await process.stdout.readline()).decode()
        assert line, (await process.stderr.read()).decode()
        yield process, Access(re.search(r"http://\S+", line)[0], socket=str(home.socket))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.mark.parametrize("streams", [TTY, PIPES], ids=["terminal", "pipes"])
@pytest.mark.parametrize("pod", ["bash-0", "web-0"])
async def test_a_gateway_that_is_killed_leaves_nothing(cluster, tmp_path, pod, streams):
    """The relay sees to it, or the lease of the plain chain. A foreground command, background jobs, and those that are meant to live."""
    home = Home(tmp_path)
    async with (
        serving(cluster, home) as (process, access),
        opened(access, pod=pod, streams=streams) as one,
    ):
        await one.types("setsid sleep 1112 &", runs="sleep 1112")
        await one.types(f"{NOHUP} &", runs="sleep 1111")
        await one.types("sleep 1000 &", runs="sleep 1000")
        await one.types("sleep 1001", runs="sleep 1001")
        process.send_signal(signal.SIGKILL)
        await until(lambda: len(marked(one.name)) <= 2, WITHIN)

        assert sorted(marked(one.name).values()) == ["sleep 1111", "sleep 1112"]


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 0.4])
async def test_a_gateway_that_is_killed_while_it_looks_leaves_nothing(cluster, tmp_path, seconds):
    """Its client has gone just before: whoever knows of the session has to look, though it has ended."""
    home = Home(tmp_path)
    async with serving(cluster, home) as (process, access), opened(access, pod="web-0") as one:
        await one.types("sleep 1000 &", runs="sleep 1000")
        await asyncio.sleep(2)  # a lease comes a little later than the first session
        one.vanish()
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        await until(lambda: not marked(one.name), WITHIN)


async def test_an_editor_in_the_foreground(gateway):
    """Which sets the terminal raw, so that no key would end it."""
    async with opened(Access(gateway.url, gateway.token), pod="web-0") as one:
        await one.types("vi /tmp/leftovers", runs="vi /tmp/leftovers")
        one.vanish()
        await until(lambda: not marked(one.name), WITHIN)


@pytest.mark.parametrize("streams", [TTY, PIPES], ids=["terminal", "pipes"])
@pytest.mark.parametrize(
    ("fault", "undo"),
    [("ssh-drop", None), ("kubectl-kill", None), ("api-restart", None), ("incus-restart", None)],
    ids=lambda word: word or "",
)
async def test_a_broken_hop_leaves_nothing(gateway, lab, fault, undo, streams):
    """Neither a shell nor a command that is to be killed."""
    access, kill = Access(gateway.url, gateway.token), (("killOnDisconnect", "true"),)
    async with (
        opened(access, pod="web-0", streams=streams, seconds=120) as shell,
        opened(access, "sleep", "1000", pod="bash-0", streams=streams, extra=kill, seconds=120) as command,
    ):
        await shell.types("sleep 1000 &", runs="sleep 1000")
        await until(lambda: list(marked(command.name).values()) == ["sleep 1000"])
        try:
            await asyncio.to_thread(lab, "fault", fault)
            await until(lambda: not marked(shell.name) and not marked(command.name), WITHIN + 30)
            counts = gateway.gateway.backends["default"].stats().leftovers
            # a relay that has left before the gateway had a link again could not tell: it is looked once more
            await until(lambda: counts.get("reaped", 0) + counts.get("nothing", 0) == 2, WITHIN)
        finally:
            if undo:
                await asyncio.to_thread(lab, "fault", undo)


@pytest.mark.parametrize("cluster", ["relay"], indirect=True)
@pytest.mark.parametrize("streams", [TTY, PIPES], ids=["terminal", "pipes"])
async def test_a_relay_that_is_killed_leaves_nothing(gateway, streams):
    """The gateway does it then, over the next one."""
    access = Access(gateway.url, gateway.token)
    relay = gateway.gateway.backends["default"]
    async with opened(access, pod="web-0", streams=streams) as one:
        await one.types("sleep 1000 &", runs="sleep 1000")
        pid = str((await relay.link()).about["pid"])
        async with opened(access, pod="web-0", streams=streams) as other:
            await kill_in_runner(relay, pid)
            await until(lambda: not marked(one.name) and not marked(other.name), WITHIN)


async def kill_in_runner(relay, pid: str) -> None:
    command = Command(("kill", "-KILL", pid), "run", stdout=True)
    with suppress(HopFailed):  # it goes with the relay
        async with relay.exec(Target("default"), command) as channel:
            async for _ in channel.output():
                pass
