"""A kept channel over a chain whose SSH connection is cut: byte for byte, each way."""

import asyncio
import hashlib
import os
import random
import signal
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs
from support.cuttable import cuttable
from support.leaks import alive
from support.repeated import seeds
from support.served import cluster_at
from support.waiting import until

from gateway.access.identity import Identity
from gateway.backends.auto import AutoBackend
from gateway.backends.factory import make
from gateway.backends.relay import RelayBackend
from gateway.backends.relay.credentials import identity, throw_away
from gateway.backends.relay.seal import Seal
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.sessions.record import SessionRecord
from gateway.settings.config import Limits

RUNNER = Target("default")
LINES = "i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); done"


def lines(count: int) -> bytes:
    return b"".join(b"line %d\r\n" % number for number in range(count))


def terminal(script: str) -> Command:
    return Command(("sh", "-c", script), "run", stdin=True, stdout=True, tty=True, size=TerminalSize(80, 24))


@dataclass
class Recorder:
    """An Owner."""

    received_up_to: int = 0
    gaps: list[int] = field(default_factory=list)
    troubles: list[Outcome | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def on_input_acknowledged(self, offset: int) -> None:
        assert offset > self.received_up_to
        self.received_up_to = offset

    def on_output_gap(self, offset: int) -> None:
        self.gaps.append(offset)

    def on_hop_status(self, why: Outcome | None, seconds: float) -> None:
        self.troubles.append(why)
        self.seconds.append(seconds)

    @property
    def codes(self) -> list[str | None]:
        return [why.code if why else None for why in self.troubles]


@asynccontextmanager
async def way_to(demo):
    host, _, port = demo.ssh_host.rpartition(":")
    async with cuttable(int(port), host.rpartition("@")[2]) as forwarder:
        yield demo, forwarder


@pytest.fixture
async def way(demo):
    """(demo, the forwarder before its SSH server)."""
    async with way_to(demo) as both:
        yield both


@asynccontextmanager
async def backend_on(way, mode="relay", who=None, **limits):
    demo, forwarder = way
    user = demo.ssh_host.rpartition("@")[0]
    known = demo.known_hosts.with_name("known-forwarder")
    key = demo.known_hosts.read_text().split(" ", 1)[1]
    known.write_text(f"[127.0.0.1]:{forwarder.port} {key}")
    cluster = cluster_at(f"{user}@127.0.0.1:{forwarder.port}", demo.ssh_key, known, demo.instance, mode=mode)
    async with make(cluster, Limits(**limits), None, who or throw_away()) as one:
        yield one


async def drained(channel, into: bytearray) -> None:
    async for stream, data in channel.output():
        assert stream is Stream.STDOUT
        into += data


async def test_who_keeps_and_who_does_not(way):
    async with backend_on(way) as relay, backend_on(way, "auto") as auto, backend_on(way, "plain") as plain:
        assert isinstance(auto, AutoBackend)
        assert plain.resume is None
        assert plain.dial is None
        assert relay.dial
        assert auto.dial
        assert await relay.resume.ready()
        assert await auto.resume.ready()
        assert not relay.resume.survives


async def test_auto_does_not_keep_where_it_takes_the_plain_chain(own_demo):
    path = own_demo.directory / "bin" / "python3"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o700)
    async with way_to(own_demo) as way, backend_on(way, "auto") as auto:
        assert not await auto.resume.ready()


@pytest.mark.parametrize("seed", seeds(3))
async def test_output_and_input_are_whole_however_often_it_is_cut(way, seed):
    _, forwarder = way
    chance = random.Random(seed)
    count, every = 30_000, "".join(chance.choices("abcdefgh\n", k=60_000)) + "\n"
    script = f"stty -echo -onlcr -icanon; echo ready; ({LINES % count}); head -c {len(every)} | sha256sum"
    owner, got = Recorder(), bytearray()
    async with (
        backend_on(way) as backend,
        backend.resume.keep(RUNNER, terminal(script), "s", {}, owner) as channel,
        asyncio.TaskGroup() as tasks,
    ):
        reader = tasks.create_task(drained(channel, got))

        async def nemesis() -> None:
            while not reader.done():
                await asyncio.sleep(chance.uniform(0.02, 0.5))
                if forwarder.cuts < 6:
                    forwarder.cut()

        cutter = tasks.create_task(nemesis())
        await until(lambda: b"ready" in got, 20)
        at = 0
        while at < len(every):
            part = every[at : at + chance.randrange(1, 3000)]
            await channel.write(part.encode())
            at += len(part)
            await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            outcome = await channel.wait()
        cutter.cancel()

    assert outcome.exit_code == 0
    assert forwarder.cuts > 1
    said = bytes(got).replace(b"ready\r\n", b"", 1).replace(b"ready\n", b"", 1)
    digest = hashlib.sha256(every.encode()).hexdigest().encode()
    assert said.replace(b"\r\n", b"\n") == lines(count).replace(b"\r\n", b"\n") + digest + b"  -\n"
    assert owner.gaps == []
    assert owner.received_up_to == len(every)
    assert owner.codes.count(None) >= 1


async def test_a_lost_hop_is_told_and_that_it_is_back(way):
    _, forwarder = way
    owner, got = Recorder(), bytearray()
    async with backend_on(way) as backend, asyncio.TaskGroup() as tasks:
        async with backend.resume.keep(RUNNER, terminal("cat"), "s", {}, owner) as channel:
            reader = tasks.create_task(drained(channel, got))
            await channel.write(b"one\n")
            await until(lambda: b"one\r\none\r\n" in got)
            forwarder.broken = True
            forwarder.cut()
            await until(lambda: owner.troubles)
            assert owner.codes == ["ssh_lost"]
            assert owner.seconds[0] == backend.resume.grace == 120
            channel.resize(TerminalSize(100, 40))
            writer = tasks.create_task(channel.write(b"two\n"))
            await asyncio.sleep(0.3)
            assert not writer.done()
            forwarder.broken = False
            await until(lambda: b"two\r\ntwo\r\n" in got, 20)
            assert owner.codes == ["ssh_lost", None]
        await reader
    assert got == b"one\r\none\r\ntwo\r\ntwo\r\n"


async def test_the_size_of_meanwhile_is_the_size_then(way):
    _, forwarder = way
    owner, got = Recorder(), bytearray()
    async with backend_on(way) as backend, asyncio.TaskGroup() as tasks:
        script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"
        async with backend.resume.keep(RUNNER, terminal(script), "s", {}, owner) as channel:
            reader = tasks.create_task(drained(channel, got))
            await until(lambda: b"ready" in got)
            forwarder.cut()
            await until(lambda: owner.troubles)
            for rows in (25, 30, 41):
                channel.resize(TerminalSize(100, rows))
            await until(lambda: b"41 100" in got, 20)
        await reader
    assert b"25 100" not in got


async def test_it_ends_with_the_hop_when_the_grace_time_is_over(way):
    _, forwarder = way
    owner, got = Recorder(), bytearray()
    async with backend_on(way, grace=1.0) as backend:
        async with backend.resume.keep(RUNNER, terminal("sleep 1000"), "s", {}, owner) as channel:
            asyncio.get_running_loop().call_later(0.3, forwarder.cut)
            asyncio.get_running_loop().call_later(0.2, setattr, forwarder, "broken", True)
            async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
                tasks.create_task(channel.write(b"x" * 1_000_000))
                await drained(channel, got)
            assert (await channel.wait()).code == "ssh_lost"
            async with asyncio.timeout(1):
                await channel.write(b"to nobody")
        forwarder.broken = False


async def test_it_ends_at_once_when_the_relay_that_is_there_does_not_know_it(way):
    owner, got = Recorder(), bytearray()
    async with backend_on(way) as backend:
        first = await backend.link()
        async with backend.resume.keep(RUNNER, terminal("sleep 1000"), "s", {}, owner) as channel:
            asyncio.get_running_loop().call_later(0.3, os.kill, first.about["pid"], signal.SIGKILL)
            async with asyncio.timeout(20):
                await drained(channel, got)
            outcome = await channel.wait()
        assert (await backend.link()).relay != first.relay
    assert outcome.code == "relay_lost"
    assert "the present relay does not know the session" in outcome.message


async def test_left_while_the_hop_is_lost_it_is_ended_over_the_next_link(way, tmp_path):
    _, forwarder = way
    owner, got = Recorder(), bytearray()
    pid = tmp_path / "pid"
    async with backend_on(way) as backend:
        script = f"echo $$ >{pid}; echo ready; exec sleep 1000"
        async with backend.resume.keep(RUNNER, terminal(script), "s", {}, owner) as channel:
            reader = asyncio.create_task(drained(channel, got))  # noqa: TID251
            await until(lambda: b"ready" in got)
            forwarder.broken = True
            forwarder.cut()
            await until(lambda: owner.troubles)
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
        forwarder.broken = False
        await until(lambda: not alive(int(pid.read_text())), 20)


async def test_the_next_life_of_the_gateway_finds_it(way, tmp_path):
    owner, got, note = Recorder(), bytearray(), {"identity": "me"}
    async with AsyncExitStack() as stack:
        with identity(tmp_path) as who:
            async with backend_on(way, who=who) as backend:
                assert backend.resume.survives
                assert backend.resume.grace == 600
                looked = await anext(backend.resume.found())
                assert looked == []
                async with backend.resume.keep(RUNNER, terminal("cat"), "s", {}, owner) as channel:
                    reader = asyncio.create_task(drained(channel, got))  # noqa: TID251
                    await channel.write(b"one\n")
                    await until(lambda: b"one\r\none\r\n" in got)
                    channel.seen(5)
                    channel.note(note)
                    await asyncio.sleep(0.1)
                    channel.hand_over()
                reader.cancel()
                with suppress(asyncio.CancelledError):
                    await reader
        who = stack.enter_context(identity(tmp_path))
        backend = await stack.enter_async_context(backend_on(way, who=who))
        (found,) = await anext(backend.resume.found())
        assert (found.name, found.note) == ("s", note)
        assert (found.seen, found.start, found.end, found.received) == (5, 5, 10, 4)
        second, got = Recorder(), bytearray()
        async with (
            asyncio.TaskGroup() as tasks,
            backend.resume.recover(found, RUNNER, terminal("cat"), second) as channel,
        ):
            reader = tasks.create_task(drained(channel, got))
            await channel.write(b"two\n\x04")
            async with asyncio.timeout(10):
                outcome = await channel.wait()
        assert outcome.exit_code == 0
        assert got == b"one\r\ntwo\r\ntwo\r\n"
        assert second.received_up_to == 4 + 5
        assert second.troubles == []


async def test_what_was_found_and_is_not_wanted_is_ended(way, tmp_path):
    with identity(tmp_path) as who:
        async with (
            backend_on(way, who=who) as backend,
            backend.resume.keep(
                RUNNER, terminal(f"echo $$ >{tmp_path}/pid; exec sleep 1000"), "s", {}, Recorder()
            ) as channel,
        ):
            await until((tmp_path / "pid").exists)
            await asyncio.sleep(0.1)
            channel.hand_over()
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    with identity(tmp_path) as who:
        async with backend_on(way, who=who) as backend:
            (found,) = await anext(backend.resume.found())
            backend.resume.discard(found.name)
            await until(lambda: not alive(pid))


async def planted(backend, directory, name, note):
    """Has the relay keep a session that no gateway has opened, as root in the runner can. Returns its pid."""
    link = await backend.link()
    script = f"echo $$ >{directory}/pid; exec sleep 1000"
    link.open({"argv": ["sh", "-c", script], "tty": [80, 24], "name": name, "note": note})
    await until((directory / "pid").exists)
    await asyncio.sleep(0.1)
    return int((directory / "pid").read_text())


@pytest.mark.parametrize(
    "unsigned", [True, False], ids=["as the version before wrote it", "for another name"]
)
async def test_what_was_planted_at_the_relay_is_ended_and_found_by_nobody(way, tmp_path, unsigned):
    """Root in the runner knows the relay's secret, and every note of it."""
    command = Command((), "exec", stdin=True, stdout=True, tty=True, session="planted")
    note = SessionRecord(
        Identity("me", "token"), Target("default", "ns", "web-0"), command, ("a" * 64,)
    ).body()
    with identity(tmp_path) as who:
        async with backend_on(way, who=who) as backend:
            given = note if unsigned else Seal(who.key, "default").sign("another", note)
            pid = await planted(backend, tmp_path, "planted", given)
    assert alive(pid)
    with identity(tmp_path) as who, capture_logs() as logs:
        async with backend_on(way, who=who) as backend:
            assert await anext(backend.resume.found()) == []
            await until(lambda: not alive(pid))
    assert [line["session"] for line in logs if line["event"] == "session_discarded"] == ["planted"]


async def test_a_session_that_has_ended_is_not_brought_back_by_its_signed_record(way, tmp_path):
    """Root in the runner has kept the record, and shows it to this process and to the next."""
    with identity(tmp_path) as who:
        note = Seal(who.key, "default").sign("s", {"some": "thing"})
        async with backend_on(way, who=who) as backend:
            async with backend.resume.keep(
                RUNNER, terminal("exit 3"), "s", {"some": "thing"}, Recorder()
            ) as channel:
                await drained(channel, bytearray())
                assert (await channel.wait()).exit_code == 3
            pid = await planted(backend, tmp_path, "s", note)
    assert alive(pid)
    with identity(tmp_path) as who, capture_logs() as logs:
        async with backend_on(way, who=who) as backend:
            assert await anext(backend.resume.found()) == []
            await until(lambda: not alive(pid))
    assert [line["reason"] for line in logs if line["event"] == "session_discarded"] == [
        "the gateway has seen its end before"
    ]


async def test_output_that_was_dropped_is_a_gap(way, tmp_path):
    """More than the cap while the link is away."""
    _, forwarder = way
    said = tmp_path / "all of it is said"
    script = f"stty -echo -onlcr; echo ready; read x; {LINES % 60_000}; >'{said}'"
    owner, got = Recorder(), bytearray()
    async with (
        backend_on(way, journal_capacity=200_000, journal_memory=50_000) as backend,
        backend.resume.keep(RUNNER, terminal(script), "s", {}, owner) as channel,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(drained(channel, got))
        await until(lambda: b"ready" in got)
        await channel.write(b"\n")
        await until(lambda: len(got) > 1000)
        forwarder.broken = True
        forwarder.cut()
        await until(lambda: owner.troubles)
        await until(said.exists, 30)
        forwarder.broken = False
        async with asyncio.timeout(30):
            assert (await channel.wait()).exit_code == 0

    every = b"ready\n" + lines(60_000).replace(b"\r\n", b"\n")
    assert len(owner.gaps) == 1
    tail = len(every) - owner.gaps[0]
    assert bytes(got[-tail:]) == every[-tail:]
    before = len(got) - tail
    assert bytes(got[:before]) == every[:before]


async def test_nobody_hears_of_names_that_were_used_before(way):
    """Cuts while sessions come and go: nothing of this life is ever offered as found."""
    _, forwarder = way
    chance = random.Random(5)
    async with backend_on(way) as backend:
        assert isinstance(backend, RelayBackend)
        assert await anext(backend.resume.found()) == []
        for number in range(12):
            with suppress(Exception):
                async with backend.resume.keep(
                    RUNNER, terminal("echo hi"), f"s{number}", {}, Recorder()
                ) as channel:
                    asyncio.get_running_loop().call_later(chance.uniform(0, 0.2), forwarder.cut)
                    got = bytearray()
                    async with asyncio.timeout(20):
                        await drained(channel, got)
                    assert got == b"hi\r\n"
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                raise AssertionError(await anext(backend.resume.found()))


async def test_a_relay_is_known_by_more_than_its_pid(way):
    """In an instance that was started again, pids begin anew; over another link it is still the same one."""
    _, forwarder = way
    async with backend_on(way) as backend:
        first = await backend.link()
        assert first.relay == first.about["id"] != first.about["pid"]
        forwarder.cut()
        await until(lambda: first.lost)
        second = await backend.link()
        assert second is not first
        assert second.relay == first.relay
