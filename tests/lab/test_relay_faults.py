"""Every hop broken under fifty sessions of all kinds over the relay: each end is named, nothing is left, all works again."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from secrets import token_hex
from urllib.parse import urlencode

import pytest
from structlog.testing import capture_logs
from support import leaks
from support.exec_client import Access, Conversation, Request, run
from support.lab import processes
from support.served import config_for, served
from support.waiting import until
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol as Name

from gateway.backends.relay import link_supervisor
from gateway.protocol.subprotocols import OWN, V5

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(300)]

SETTLE = 30.0  # seconds after which nothing of an ended session may be left
LIFE = (
    100  # seconds that the commands live by themselves: what lives on in a pod, as it may, does not for ever
)
TICKS = f"i=0; while [ $i -lt {LIFE * 5} ]; do i=$((i+1)); echo $i; sleep 0.2; done"
BULK = f"i=0; while [ $i -lt {LIFE * 5} ]; do i=$((i+1)); head -c 500000 /dev/zero; sleep 0.2; done"


@dataclass(frozen=True)
class Run(Request):
    """A command in the runner itself."""

    def path(self) -> str:
        words = [("command", one) for one in self.argv] + [(name, "true") for name in self.streams]
        return f"/gateway/v1/clusters/default/run?{urlencode(words)}"


@dataclass(frozen=True)
class Kind:
    """So many sessions of one sort. `pauses`: its client does not read until the hop is broken."""

    count: int
    script: str
    streams: tuple[str, ...]
    row: object = V5
    verb: type[Request] = Request
    sends: bool = False
    pauses: bool = False


PIPES, TTY = ("stdin", "stdout", "stderr"), ("stdin", "stdout", "tty")
CROWD = [
    Kind(8, TICKS, TTY),
    Kind(8, TICKS, PIPES),
    Kind(6, TICKS, TTY, OWN),
    Kind(6, TICKS, PIPES, OWN),
    Kind(4, TICKS, PIPES, OWN, Run),
    Kind(4, f"sleep {LIFE}", TTY, OWN, Run),
    Kind(4, f"sleep {LIFE}", TTY),
    Kind(4, f"sleep {LIFE}", PIPES, OWN),
    Kind(2, BULK, PIPES, OWN),
    Kind(2, "wc -c", PIPES, OWN, sends=True),
    Kind(1, BULK, PIPES, OWN, pauses=True),
    Kind(1, BULK, TTY, pauses=True),
]


class Crowd:
    """The sessions of one test. `mark` is in the arguments of each."""

    def __init__(self, url: str, token: str) -> None:
        self.mark = f"crowd-{token_hex(6)}"
        self.broken = asyncio.Event()
        self.ends: list[tuple[Kind, Conversation]] = []
        self._url = url.replace("http", "ws", 1)
        self._token = token

    async def one(self, kind: Kind, ready: Callable[[], None]) -> None:
        """From its beginning to the server's close."""
        argv = ("sh", "-c", f": {self.mark}; echo here; {kind.script.replace('MARK', self.mark)}")
        path = kind.verb(argv, streams=kind.streams, pod="web-0", container="main").path()
        async with connect(
            self._url + path, subprotocols=[Name(kind.row.name)], compression=None, max_size=None,
            additional_headers={"Authorization": f"Bearer {self._token}"}, ping_interval=None, proxy=None,
        ) as connection:  # fmt: skip
            talk = Conversation(connection, kind.row)
            self.ends.append((kind, talk))
            async with asyncio.TaskGroup() as tasks:
                sender = tasks.create_task(self._send(talk)) if kind.sends else None
                if kind.pauses:
                    await asyncio.sleep(1.0)
                    ready()
                    await self.broken.wait()
                    await talk.read()
                else:
                    reader = tasks.create_task(talk.read())
                    await talk.seen(b"here")
                    ready()
                    await reader
                if sender:
                    sender.cancel()

    async def _send(self, talk: Conversation) -> None:
        while True:
            await talk.stdin(bytes(32768))
            await asyncio.sleep(0.02)


@asynccontextmanager
async def crowd(gateway, kinds=CROWD):
    """All of it open; on leaving every session has ended. The time of the last end is in `ended`."""
    group = Crowd(gateway.url, gateway.token)
    total, there = sum(kind.count for kind in kinds), 0
    all_there = asyncio.Event()

    def ready() -> None:
        nonlocal there
        there += 1
        if there == total:
            all_there.set()

    async with asyncio.timeout(150), asyncio.TaskGroup() as tasks:
        for kind in kinds:
            for _ in range(kind.count):
                tasks.create_task(group.one(kind, ready))
        async with asyncio.timeout(60):
            await all_there.wait()
        yield group


def named(kind: Kind, talk: Conversation) -> tuple[str, str]:
    """(hop, code) of the end; asserts that it is one, and no success."""
    said = talk.transcript
    assert len(said.statuses) == 1, (kind, said.statuses, said.close_code)
    assert said.status.exit_code is None, (kind, said.status)
    assert said.close_code == 1000
    assert said.late == []
    if kind.row is OWN:
        end = said.controls[-1]
        assert (end["type"], end["exitCode"]) == ("end", None)
        return end["hop"], end["code"]
    hop, _, words = said.status.message.removeprefix("Internal error occurred: ").partition(": ")
    return hop, words.rpartition("(")[2].rstrip(")")


class Processes:
    """What `lab ps` shows on the management host and in the runner."""

    def __init__(self) -> None:
        host, _, rest = processes("ps").partition("# runner")
        self.host = {line for line in host.splitlines()[1:] if line.strip()}
        self.runner = {line.strip() for line in rest.partition("# pods")[0].splitlines()[1:] if line.strip()}

    def of(self, mark: str) -> list[str]:
        """Those with the mark."""
        return [line for line in (*self.host, *self.runner) if mark in line]


async def until_on_the_way(true: Callable[[], object], seconds: float) -> float:
    """As `until`, for a condition that asks the host or the runner."""
    return await until(lambda: asyncio.to_thread(true), seconds, pause=0.5)


async def works_again(access: Access, seconds: float = 20.0) -> float:
    """A new session; seconds until one said what it should."""
    began = time.monotonic()
    while True:
        said = await run(access, Request(("echo", "again"), pod="web-0"), row=OWN, seconds=60)
        if said.stdout == b"again\n" and said.status.exit_code == 0:
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, said
        await asyncio.sleep(0.3)


@pytest.fixture
async def relayed(cluster, tmp_path):
    """A gateway with every session over the relay, and a session behind it."""
    async with served(config_for(replace(cluster, mode="relay")), tmp_path) as gateway:
        await works_again(Access(gateway.url, gateway.token), 40)
        yield gateway
    await asyncio.to_thread(
        processes, "reap"
    )  # a client's own argv lives on in its pod, as it does with kubectl


# fault, undo, hops that may be named, seconds from the fault to the last end
FAULTS = [
    ("ssh-drop", None, {"ssh"}, 5),
    ("ssh-freeze", "ssh-thaw", {"ssh"}, 30),
    ("ssh-blackhole", "ssh-unblackhole", {"ssh"}, 30),
    ("incus-restart", None, {"incus"}, 40),
    ("runner-stop", "runner-start", {"incus"}, 20),
    ("runner-pause", "runner-resume", {"incus"}, 35),
    ("kubectl-kill", None, {"kubectl"}, 5),
]


@pytest.mark.parametrize(("fault", "undo", "hops", "limit"), FAULTS, ids=[fault[0] for fault in FAULTS])
async def test_a_broken_hop_under_fifty_sessions(relayed, lab, fault, undo, hops, limit):
    access = Access(relayed.url, relayed.token)
    await asyncio.sleep(0.5)
    tasks, open_before = len(asyncio.all_tasks()), len(leaks.descriptors())
    kinds = [kind for kind in CROWD if fault != "kubectl-kill" or kind.verb is Request]
    try:
        async with crowd(relayed, kinds) as group:
            began = time.monotonic()
            await asyncio.to_thread(lab, "fault", fault)
            group.broken.set()
        ended = time.monotonic() - began
    finally:
        if undo:
            await asyncio.to_thread(lab, "fault", undo)
    ends = [(kind, *named(kind, talk)) for kind, talk in group.ends]

    assert {hop for _, hop, _ in ends} <= hops, {(hop, code, kind.script[:9]) for kind, hop, code in ends}
    assert ended < limit
    await works_again(access)
    await until_on_the_way(lambda: not Processes().of(group.mark), SETTLE)
    await until(lambda: len(leaks.descriptors()) <= open_before, 10)
    assert len(asyncio.all_tasks()) <= tasks


async def test_between_sessions_there_are_a_client_a_carrier_and_a_daemon(relayed, lab):
    assert lab
    link = await relayed.gateway.backends["default"].link()
    now = await asyncio.to_thread(Processes)
    relays = [line for line in now.runner if line.split()[1:] == ["dap-relay"]]

    assert str(link.about["pid"]) in {line.split()[0] for line in relays}
    assert len(relays) >= 2
    assert any("incus exec" in line and "bash -lc" in line for line in now.host)


async def test_the_relay_of_a_gateway_without_an_identity_leaves_with_it(cluster, tmp_path):
    """One that may come back has a minute: tests/relay."""
    async with served(config_for(replace(cluster, mode="relay")), tmp_path) as gateway:
        await works_again(Access(gateway.url, gateway.token), 40)
        pid = str((await gateway.gateway.backends["default"].link()).about["pid"])

    await until_on_the_way(lambda: not any(line.split()[0] == pid for line in Processes().runner), 10)


async def test_a_killed_daemon_ends_its_sessions_alone(cluster, tmp_path):
    """Two gateways on one runner: the one whose relay is killed says so, the other does not notice."""
    async with AsyncExitStack() as stack:
        settings = config_for(replace(cluster, mode="relay"))
        places = [tmp_path / "1", tmp_path / "2"]
        one, two = [await stack.enter_async_context(served(settings, at, alone=False)) for at in places]
        for gateway in (one, two):
            await works_again(Access(gateway.url, gateway.token), 40)
        first, second = [await gateway.gateway.backends["default"].link() for gateway in (one, two)]
        assert first.about["pid"] != second.about["pid"]
        few = [
            Kind(3, TICKS, TTY),
            Kind(3, TICKS, PIPES, OWN),
            Kind(2, f"sh -c ': MARK; sleep {LIFE}; :' & wait", PIPES, OWN, Run),
        ]
        async with crowd(two, [Kind(2, "sleep 4", PIPES, OWN)]) as other, crowd(one, few) as group:
            killer = Run(("kill", "-KILL", str(first.about["pid"])))
            await run(Access(two.url, two.token), killer, row=OWN)

        assert {named(kind, talk) for kind, talk in group.ends} == {("runner", "relay_lost")}
        assert all(talk.transcript.status.exit_code == 0 for _, talk in other.ends)
        assert await works_again(Access(one.url, one.token)) < 5
        await until_on_the_way(lambda: not Processes().of(group.mark), SETTLE)


async def test_without_python_the_plain_chain_is_taken_and_says_so(cluster, lab, tmp_path, monkeypatch):
    """And the relay comes back by itself once there is one."""
    monkeypatch.setattr(link_supervisor, "_HOPELESS", 3.0)
    settings = config_for(replace(cluster, mode="auto"))
    await asyncio.to_thread(lab, "fault", "runner-bare")
    try:
        with capture_logs() as logs:
            async with served(settings, tmp_path) as gateway:
                backend, access = gateway.gateway.backends["default"], Access(gateway.url, gateway.token)
                await works_again(access)
                notes = [one.note for one in await backend.check() if one.note]
                assert notes == [
                    "plain (mode auto): the runner has no python3 that its login shell could run"
                ]
                assert [row["instead"] for row in logs if row["event"] == "relay_impossible"] == ["plain"]
                assert backend.stats().connections["links"] == 0

                await asyncio.to_thread(lab, "fault", "runner-python")
                await until(lambda: backend.stats().connections["links"] == 1, 20)
                await works_again(access)
                assert [one.note for one in await backend.check() if one.note] == [
                    "relay (mode auto; exec api)"
                ]
    finally:
        await asyncio.to_thread(lab, "fault", "runner-python")
