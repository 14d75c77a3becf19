"""The gateway's end of a relay, on the demo's chain: which way is taken, what a lost link says, what is left."""

import asyncio
import gc
import json
import os
import signal
import time
import weakref
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from support.leaks import gone
from support.repeated import again
from support.served import cluster_at
from support.waiting import until

from gateway.backends.factory import make
from gateway.backends.relay import bootstrap, link_supervisor
from gateway.backends.relay.credentials import identity, throw_away
from gateway.backends.relay.streams import RelayStreams
from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop
from gateway.protocol.target import Command, Target
from gateway.relay import wire
from gateway.settings.config import Limits

POD = Target("default", "default", "bash-0")
RUNNER = Target("default")
WHO = throw_away()  # the same for the tests that share `demo` and want any relay, so that they have one


def cluster_of(demo, mode):
    return cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode=mode)


@asynccontextmanager
async def backend_on(demo, mode="auto", who=None, **limits):
    async with make(cluster_of(demo, mode), Limits(**limits), None, who or throw_away()) as one:
        yield one


async def run(backend, *argv, target=POD):
    verb = "exec" if target.pod else "run"
    command = Command(argv, verb, stdout=True, stderr=True)
    async with backend.exec(target, command) as channel:
        out = b"".join([data async for _, data in channel.output()])
        return out, await channel.wait()


def profile(demo, text):
    """What the login shell of the runner reads."""
    path = demo.directory / "runner" / ".profile"
    path.write_text(path.read_text() + text + "\n")


def python(demo, text):
    """Another python3 in the runner."""
    path = demo.directory / "bin" / "python3"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)


async def test_the_relay_is_taken_where_there_is_python(own_demo):
    async with backend_on(own_demo) as backend:
        out, outcome = await run(backend, "echo", "hi")
        hops = await backend.check()

        assert (out, outcome.exit_code) == (b"hi\n", 0)
        assert backend.stats().connections["links"] == 1
        assert [hop.note for hop in hops if hop.hop is Hop.RUNNER] == ["relay (mode auto; exec api)"]
        assert all(hop.ok for hop in hops)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'no module named os' >&2; exit 1", "no module named os"),
        ("printf '\\036%s old its python3 is 3.6.8; the relay needs 3.9\\n' \"$7\"", "python3 is 3.6.8"),
        ("exit 0", "said nothing"),
    ],
    ids=["broken", "old", "silent"],
)
async def test_a_python_that_will_not_do_leaves_the_plain_chain(own_demo, script, why):
    python(own_demo, script)
    with capture_logs() as logs:
        async with backend_on(own_demo) as backend:
            first, second = [await run(backend, "sh", "-c", "echo hi; exit 3") for _ in range(2)]
            hops = await backend.check()

    assert first[0] == second[0] == b"hi\n"
    assert first[1].exit_code == second[1].exit_code == 3
    (note,) = [hop.note for hop in hops if hop.hop is Hop.RUNNER]
    assert note.startswith("plain (mode auto): ")
    assert why in note
    assert [row["event"] for row in logs] == ["relay_refused", "relay_impossible"]


@pytest.mark.parametrize("never", [True, False])
async def test_only_where_there_never_was_a_relay_nothing_is_left_at_it(own_demo, never):
    """A python3 that fails for now may have left sessions: the next link says."""
    python(own_demo, "printf '\\036%s old its python3 is 3.6.8\\n' \"$7\"" if never else "exit 0")

    async with backend_on(own_demo) as backend, asyncio.TaskGroup() as tasks:

        async def first():
            async for found in backend.resume.found():
                return found
            return None

        looked = tasks.create_task(first())
        assert (await run(backend, "echo", "hi"))[0] == b"hi\n"
        await asyncio.sleep(0.1)
        assert looked.done() == never
        (own_demo.directory / "bin" / "python3").unlink()
        async with asyncio.timeout(30):
            assert await looked == []


async def test_a_runner_without_python_leaves_the_plain_chain(own_demo, tmp_path):
    for name in ("sh", "bash", "stty"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    profile(own_demo, f"PATH={own_demo.directory}/bin:{tmp_path}")
    async with backend_on(own_demo) as backend:
        assert (await run(backend, "/bin/echo", "hi"))[0] == b"hi\n"
        hops = await backend.check()

    assert "plain (mode auto): the runner has no python3 that its login shell could run" in [
        hop.note for hop in hops
    ]


async def test_relay_alone_says_why_there_is_none(own_demo):
    python(own_demo, "exit 0")
    async with backend_on(own_demo, "relay") as backend:
        with pytest.raises(HopFailed) as failed:
            await run(backend, "true")
        assert failed.value.code == "relay_failed"
        (hop,) = await backend.check()
        assert hop.outcome.code == "relay_failed"


async def test_the_profiles_talk_before_it_does_no_harm(own_demo):
    profile(own_demo, "printf 'no line end \\036'; echo 'error of mine'; echo more >&2; set -eu")
    async with backend_on(own_demo, "relay") as backend:
        assert (await run(backend, "echo", "hi"))[0] == b"hi\n"


@pytest.mark.parametrize(
    "talk",
    ["head -c 1000000 /dev/urandom", again("yes | head -c 1000000"), again("head -c 1000000 /dev/zero"), "printf 'no end'",
     "printf '\\036'", "head -c 1000000 /dev/zero >&2"],
    ids=["binary", "lines", "one line", "no end", "mark", "stderr"],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["relay", again("plain")])
async def test_a_profile_may_talk_much(own_demo, talk, mode):
    profile(own_demo, talk)
    async with backend_on(own_demo, mode) as backend:
        assert (await run(backend, "echo", "hi"))[0] == b"hi\n"


async def test_a_profile_that_ends_the_shell_is_the_hops_error(own_demo):
    profile(own_demo, "echo 'closed for today' >&2; exit 5")
    async with backend_on(own_demo, start=10) as backend:
        with pytest.raises(HopFailed, match="closed for today") as failed:
            await run(backend, "true")
        assert failed.value.code == "runner_failed"


@pytest.mark.parametrize("target", [POD, RUNNER], ids=["pod", "runner"])
async def test_a_relay_that_is_killed_ends_its_sessions_and_comes_again(demo, target):
    async with backend_on(demo, "relay", WHO) as backend:
        link = await backend.link()
        await run(backend, "true", target=target)  # so that the next one starts at once
        began = time.monotonic()
        killer = asyncio.get_running_loop().call_later(0.5, os.kill, link.about["pid"], signal.SIGKILL)
        _, outcome = await run(backend, "sleep", "1000", target=target)
        killer.cancel()

        assert outcome.exit_code is None
        assert outcome.hop in (Hop.INCUS, Hop.RUNNER)
        assert time.monotonic() - began < 5
        assert (await run(backend, "echo", "again"))[0] == b"again\n"


async def test_many_sessions_share_one_link(demo):
    async with backend_on(demo, "relay", WHO) as backend:

        async def one(number):
            out, outcome = await run(backend, "sh", "-c", f"echo {number}; exit {number}", target=RUNNER)
            assert (out, outcome.exit_code) == (b"%d\n" % number, number)

        async with asyncio.TaskGroup() as tasks:
            for number in range(60):
                tasks.create_task(one(number))
        counts = backend.stats().connections
        assert (counts["connections"], counts["links"], counts["channels"]) == (1, 1, 0)


async def test_a_session_left_early_is_ended_there(demo, tmp_path):
    async with backend_on(demo, "relay", WHO) as backend:
        script = f"trap '' HUP; echo $$ >{tmp_path}/pid; yes | head -c 4000000; sleep 1000"
        async with backend.exec(RUNNER, Command(("sh", "-c", script), "run", stdout=True)) as channel:
            async for _, data in channel.output():
                assert data
                break
        assert gone(int((tmp_path / "pid").read_text()), 0)
        assert backend.stats().connections["channels"] == 0
        assert backend.stats().orphans == {"finish": 0}


async def test_a_session_that_has_to_be_killed_is_counted(demo):
    script = "trap '' HUP TERM; echo go; while :; do sleep 1; done"
    async with backend_on(demo, "relay", WHO) as backend:
        async with backend.exec(RUNNER, Command(("sh", "-c", script), "run", stdout=True)) as channel:
            await anext(channel.output())
        assert backend.stats().orphans == {"finish": 1}


async def test_two_gateways_on_one_runner(demo):
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(backend_on(demo, "relay")) for _ in range(2)]
        first, second = await one.link(), await two.link()

        assert first.about["pid"] != second.about["pid"]
        assert (await run(one, "echo", "1"))[0] == b"1\n"
        assert (await run(two, "echo", "2"))[0] == b"2\n"


async def test_the_same_gateway_again_finds_its_relay(demo, tmp_path):
    pids = []
    for _ in range(2):
        with identity(tmp_path) as who, identity(tmp_path) as other:
            assert who.kept
            assert not other.kept
            async with backend_on(demo, "relay", who) as backend:
                pids.append((await backend.link()).about["pid"])

    assert pids[0] == pids[1]
    assert (tmp_path / "relay").stat().st_mode & 0o777 == 0o600


def test_the_key_of_records_is_made_once_and_told_to_no_relay(tmp_path):
    with identity(tmp_path) as first:
        pass
    with identity(tmp_path) as who:
        assert who == first
        assert len(who.key) == 32
        told = str(who.settings("prod", Limits()))
        assert who.key.hex() not in told + repr(who)
        assert who.secret in told
    file = tmp_path / "relay"
    before = json.loads(file.read_text())
    for broken in (
        {},
        {"key": "00"},
        {"key": 3},
        {"key": "no"},
    ):  # the first is as the version before left it
        file.write_text(json.dumps({key: before[key] for key in ("name", "secret")} | broken))
        with identity(tmp_path) as who:
            assert (who.name, who.secret) == (first.name, first.secret)
            assert who.key != first.key
            assert json.loads(file.read_text())["key"] == who.key.hex()


async def test_the_relay_of_an_earlier_version_is_left_with_its_last_session(demo, monkeypatch):
    """On a link that is never lost, too."""
    monkeypatch.setattr(link_supervisor, "GIVE_WAY", 0.05)

    another = replace(bootstrap.bundle(), version=f"{wire.PROTOCOL}-another")

    def upgraded():
        return another

    async with backend_on(demo, "relay") as backend:
        relay = await backend.link()
        async with backend.exec(POD, Command(("cat",), stdin=True, stdout=True)) as channel:
            monkeypatch.setattr(link_supervisor, "bundle", upgraded)
            monkeypatch.setattr(bootstrap, "bundle", upgraded)
            await asyncio.sleep(0.3)
            await channel.write(b"still")
            channel.write_eof()
            assert [data async for _, data in channel.output()] == [b"still"]

        async def gave_way():
            return await backend.link() is not relay

        await until(gave_way, 10)
        newer = await backend.link()
        assert newer.about["version"] == upgraded().version
        assert (await run(backend, "echo", "hi"))[0] == b"hi\n"


async def test_dial_reaches_what_the_runner_reaches(demo, tmp_path):
    async def serve(reader, writer):
        writer.write((await reader.read())[::-1])
        await writer.drain()
        writer.close()

    path = tmp_path / "socket"
    async with await asyncio.start_unix_server(serve, path), backend_on(demo, "relay", WHO) as backend:
        async with backend.dial(f"unix:{path}") as stream:
            await stream.write(b"abc" * 100_000)
            stream.write_eof()
            got = b""
            while data := await stream.read():
                got += data
        assert got == b"cba" * 100_000
        with pytest.raises(HopFailed, match="No such file"):
            async with backend.dial(f"unix:{path}.not"):
                pass


async def test_a_relay_takes_as_much_input_ahead_as_it_says(demo, subtests):
    async with backend_on(demo, "relay", WHO) as backend:
        link = await backend.link()
        for features in (["proxy", "exec", "input"], ["proxy", "exec"]):
            with subtests.test(features=features):
                link.about["features"] = features
                command = Command(("sh", "-c", "read x; wc -c"), "run", stdin=True, stdout=True)
                async with backend.exec(RUNNER, command) as channel:
                    await channel.write(b"\n" + bytes(24 << 20))
                    channel.write_eof()
                    said = b"".join([data async for _, data in channel.output()])
                assert said.strip() == b"%d" % (24 << 20)
                assert not link.lost


async def test_nothing_of_it_is_left(own_demo):
    """Its processes and its directory, a little after its last link."""
    tmp_path = own_demo.directory / "tmp"  # short enough for sockets
    tmp_path.mkdir()
    profile(own_demo, f"export TMPDIR={tmp_path}")
    async with backend_on(own_demo, "relay") as backend:
        await run(backend, "true")
        pid = (await backend.link()).about["pid"]
        assert [path.stat().st_mode & 0o777 for path in places(tmp_path)] == [0o700]

    assert await asyncio.to_thread(gone, pid, 8)
    assert places(tmp_path) == []


def places(directory):
    return list(directory.glob("dap-relay-*"))


async def cancelled_twice(work, running, relay):
    """Runs `work` until it has set `running`; cancels it, and then its end, which the relay cannot answer."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        await running.wait()
        os.kill(relay, signal.SIGSTOP)
        try:
            for _ in range(2):
                task.cancel()
                await asyncio.sleep(0.1)
        finally:
            os.kill(relay, signal.SIGCONT)
    assert task.cancelled()


async def test_an_end_that_is_cancelled_leaves_no_stream_behind(demo):
    running, streams = asyncio.Event(), []
    async with backend_on(demo, "relay", WHO) as backend:
        link = await backend.link()
        opener = RelayStreams(cluster_of(demo, "relay"), Limits(), backend.link)

        async def aside():
            async with opener.aside({"argv": ["cat"]}) as stream:
                streams.append(weakref.ref(stream))
                running.set()
                await asyncio.Event().wait()

        await cancelled_twice(aside(), running, link.about["pid"])
        gc.collect()
        assert streams[0]() is None


async def test_a_session_whose_end_is_cancelled_is_counted_all_the_same(demo):
    running = asyncio.Event()
    command = Command(("sleep", "1000"), "exec", stdout=True, kill_on_disconnect=False)
    async with backend_on(demo, "relay", WHO) as backend:
        link = await backend.link()

        async def session():
            async with backend.exec(POD, command):
                running.set()
                await asyncio.Event().wait()

        await cancelled_twice(session(), running, link.about["pid"])
        assert backend.stats().leftovers == {"unknown": 1}
