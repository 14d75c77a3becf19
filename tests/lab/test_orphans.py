"""Whatever ends a session of the plain chain, 30 s later nothing of it is on the management host or in the runner.

What runs in the lab's containers can be seen from outside: a wrapper, the incus client before it and Incus' own helper
have the session's nonce among their words, kubectl the test's mark. What a pod keeps is not looked at here.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from support.dap import Home
from support.exec_client import Access, Request, run
from support.served import config_for, served
from support.waiting import until

from gateway.protocol.subprotocols import OWN
from gateway.settings.config import Limits

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(240)]

BOUND = 30.0  # seconds
FAULTS = [
    ("ssh-drop", None),
    ("ssh-freeze", "ssh-thaw"),
    ("ssh-blackhole", "ssh-unblackhole"),
    ("kubectl-kill", None),
    ("incus-restart", None),
]
TERMINAL, PIPES = ("stdin", "stdout", "tty"), ("stdin", "stdout", "stderr")
KINDS = [
    ("exec sh", TERMINAL), ("yes", TERMINAL), ("exec cat", PIPES), ("exec sleep 1000", PIPES), ("yes", ("stdout",)),
]  # fmt: skip
_SESSION = re.compile(r"\bdap [0-9a-f]{24} (\d+)\b")
_LEASE = 5  # words that a lease is sent; a kubectl has more


def processes() -> Iterator[tuple[int, str]]:
    """Pid and words of all that lives."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if state != "Z":
            yield int(entry.name), words


def on_the_way(mark: str) -> dict[int, str]:
    """What belongs to sessions of a test: kubectl by its mark, the rest because it is no lease's."""
    return {
        pid: words
        for pid, words in processes()
        if (words.startswith("kubectl ") and mark in words)
        or ((found := _SESSION.search(words)) and int(found[1]) > _LEASE)
    }


@pytest.fixture
def cluster(cluster):
    """Plain, whatever the run's mode."""
    return replace(cluster, mode="plain")


@pytest.fixture
def mark():
    return f"orphan{os.getpid()}x{time.monotonic_ns()}"


async def talk(access: Access, mark: str, kind: tuple[str, tuple[str, ...]], began: asyncio.Event) -> float:
    """One session; when it ended."""

    async def script(said):
        await said.seen(b"go")
        began.set()

    request = Request(("sh", "-c", f": {mark}; echo go; {kind[0]}"), streams=kind[1], pod="web-0")
    with suppress(ConnectionError, OSError):
        await run(access, request, script, row=OWN, seconds=200)
    return time.monotonic()


@asynccontextmanager
async def sessions(access: Access, mark: str):
    """The tasks of one session of each kind, all begun, and what they have on the way."""
    before = on_the_way(mark)
    began = [asyncio.Event() for _ in KINDS]
    async with asyncio.TaskGroup() as tasks:
        talks = [
            tasks.create_task(talk(access, mark, kind, event))
            for kind, event in zip(KINDS, began, strict=True)
        ]
        async with asyncio.timeout(30):
            for event in began:
                await event.wait()
        mine = {pid: words for pid, words in on_the_way(mark).items() if pid not in before}
        assert sum(words.startswith("kubectl ") for words in mine.values()) == len(KINDS)
        assert sum("incus exec " in words for words in mine.values()) >= len(KINDS)
        yield talks, mine
        for one in talks:
            one.cancel()


async def gone(mark: str, mine: dict[int, str], seconds: float) -> float:
    """Waits until nothing of them is left; how long that took."""
    left = {}

    def ended() -> bool:
        left.clear()
        left.update({pid: words for pid, words in on_the_way(mark).items() if mine.get(pid) == words})
        return not left

    try:
        return await until(ended, seconds, pause=0.2)
    except TimeoutError:
        raise AssertionError(left) from None


async def watched(stats, seconds: float = 20) -> None:
    """Waits for the lease."""
    await until(lambda: stats().connections["leases"], seconds)


@pytest.mark.parametrize(("fault", "undo"), FAULTS, ids=[fault[0] for fault in FAULTS])
async def test_a_broken_hop_leaves_nothing_on_the_way(gateway, lab, mark, fault, undo, request):
    backend = gateway.gateway.backends["default"]
    async with sessions(Access(gateway.url, gateway.token), mark) as (talks, mine):
        await watched(backend.stats)
        try:
            await asyncio.to_thread(lab, "fault", fault)
            ended = max(await asyncio.gather(*talks))
            await gone(mark, mine, BOUND - (time.monotonic() - ended))
            request.node.user_properties.append(
                ("seconds", round(time.monotonic() - ended, 1))
            )  # junit shows it
        finally:
            if undo:
                await asyncio.to_thread(lab, "fault", undo)


async def test_a_kubectl_that_heeds_nothing_is_ended(gateway, mark):
    """Stopped, it takes no TERM."""
    async with sessions(Access(gateway.url, gateway.token), mark) as (talks, mine):
        for pid, words in mine.items():
            if words.startswith("kubectl "):
                os.kill(pid, signal.SIGSTOP)
        for one in talks:
            one.cancel()
        await gone(mark, mine, BOUND)


@contextmanager
def unreachable(port: int):
    """No packet to or from this port arrives, and no reset comes."""
    rules = [
        ["INPUT", "-i", "lo", "-p", "tcp", side, str(port), "-j", "DROP"] for side in ("--dport", "--sport")
    ]
    try:
        for rule in rules:
            subprocess.run(["iptables", "-I", *rule], check=True)
        yield
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-D", *rule], check=False)


@pytest.mark.skipif(not shutil.which("iptables"), reason="no iptables to let packets vanish with")
async def test_a_client_that_vanishes_leaves_nothing_on_the_way(cluster, mark, tmp_path):
    """No FIN, no reset: its kernel acknowledges nothing any more."""
    config = config_for(cluster, limits=Limits(ping=1.0, silence=5.0))
    async with (
        served(config, tmp_path) as running,
        sessions(Access(running.url, running.token), mark) as (_, mine),
    ):
        with unreachable(int(running.url.rpartition(":")[2])):
            await until(lambda: not running.gateway.registry.sessions, 60)
            await gone(mark, mine, BOUND)


@asynccontextmanager
async def serving(home: Home, cluster):
    """`dap serve` as a process."""
    env = {
        "DAP_RUNNER_SSH_HOST": cluster.ssh_host, "DAP_RUNNER_SSH_KEY": str(cluster.ssh_key),
        "DAP_RUNNER_SSH_KNOWN_HOSTS": str(cluster.ssh_known_hosts), "DAP_RUNNER_VM": cluster.vm,
        "DAP_RUNNER_MODE": "plain",
    }  # fmt: skip
    streams = {"stdin": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    process = await home.start("serve", "--listen", "127.0.0.1:0", env=env, **streams)
    try:
        line = (await process.stdout.readline()).decode()
        yield process, Access(re.search(r"http://[^/\s]+", line)[0], socket=str(home.socket))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def leases() -> set[int]:
    """Pids of what belongs to any lease."""
    return {
        pid for pid, words in processes() if (found := _SESSION.search(words)) and int(found[1]) == _LEASE
    }


async def test_a_killed_gateway_leaves_nothing_and_its_next_life_and_others_live(
    gateway, cluster, mark, tmp_path_factory
):
    """Started again at once; and another gateway on the same runner."""
    home = Home(tmp_path_factory.mktemp("home"))
    async with sessions(Access(gateway.url, gateway.token), mark) as (_, others):
        await watched(gateway.gateway.backends["default"].stats)
        known = leases()
        async with serving(home, cluster) as (process, access), sessions(access, mark) as (talks, mine):
            await until(lambda: leases() - known)
            await asyncio.sleep(1)  # until it has been told
            process.kill()
            await asyncio.gather(*talks)
            began = time.monotonic()
            async with serving(home, cluster) as (_, again), sessions(again, mark) as (_, fresh):
                await gone(mark, mine, BOUND - (time.monotonic() - began))
                await asyncio.sleep(5)
                left = on_the_way(mark)
                assert fresh.keys() <= left.keys()
                assert others.keys() <= left.keys()
        await gone(mark, fresh, BOUND)
        assert others.keys() <= on_the_way(mark).keys()
