"""What `gateway.backends.contract` promises holds for every backend: the real ones on the demo's chain, and the fakes."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace

import pytest
import pytest_asyncio
from support.contract_subjects import INPUT, LIMITS, POD, Edge, Story, chain
from support.leaks import unchanged
from support.waiting import until

from gateway.errors import HopFailed
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Hop, Outcome, ended
from gateway.protocol.target import TerminalSize

CHAINS, FAKES = ["plain", "relay", "auto"], ["edge", "story"]
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]
chains = pytest.mark.parametrize("subject", CHAINS, indirect=True, scope="module")
with_api = pytest.mark.parametrize("subject", [*CHAINS, "edge"], indirect=True, scope="module")
dialling = pytest.mark.parametrize("subject", ["relay", "auto"], indirect=True, scope="module")
PODS = "/api/v1/namespaces/default/pods"
SLACK = 2.0  # seconds that a busy machine may add


@pytest.fixture(autouse=True, scope="module")
def nothing_left():
    """Of a module: its chains stay warm from one test to the next."""
    with unchanged():
        yield


@pytest_asyncio.fixture(params=[*CHAINS, *FAKES], scope="module", loop_scope="module")
async def subject(request, demo, tmp_path_factory):
    """One backend for all tests of the module; its first command has run, so that its warm connections are up."""
    async with AsyncExitStack() as stack:
        if request.param in FAKES:
            yield {"edge": Edge, "story": Story}[request.param]()
            return
        directory = tmp_path_factory.mktemp(request.param)
        one = await stack.enter_async_context(chain(demo, request.param, directory))
        await ran(one, "true")
        with suppress(HopFailed):
            await ran(one, "refused")
        yield one


async def ran(subject, kind):
    """The output by stream, and the outcome."""
    async with subject.exec(kind) as channel:
        return await read(channel), await end(channel)


async def end(channel):
    """The outcome, but for the Status that the API server says it with."""
    return replace(await channel.wait(), status=None)


async def read(channel):
    found = {Stream.STDOUT: b"", Stream.STDERR: b""}
    async for stream, data in channel.output():
        assert data
        found[stream] += data
    return found


# Channel


async def test_output_is_in_order_until_both_streams_have_ended_and_then_the_outcome_is_there(subject):
    found, outcome = await ran(subject, "both")

    assert found == {Stream.STDOUT: b"out", Stream.STDERR: b"err"}
    assert outcome == ended(3)


async def test_a_command_that_says_nothing_ends_too(subject):
    assert await ran(subject, "true") == ({Stream.STDOUT: b"", Stream.STDERR: b""}, ended(0))


async def test_the_outcome_stays(subject):
    async with subject.exec("both") as channel:
        await read(channel)
        assert [await end(channel) for _ in range(2)] == [ended(3)] * 2


async def test_nobody_waits_shorter_because_another_stopped_waiting(subject):
    """Cancelling `wait` takes nothing from who waits later."""
    async with subject.exec("both") as channel:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(channel.wait(), 0.01)
        await read(channel)
        assert await end(channel) == ended(3)


async def test_input_and_its_end_reach_a_cat(subject):
    async with subject.exec("cat") as channel:
        for line in INPUT.splitlines(keepends=True):
            await channel.write(line)
        channel.write_eof()
        assert (await read(channel))[Stream.STDOUT] == INPUT
        assert await end(channel) == ended(0)
    assert subject.taken() in (INPUT, None)


async def test_what_is_written_after_the_end_has_no_effect(subject):
    async with subject.exec("true") as channel:
        await read(channel)
        for _ in range(3):
            await channel.write(b"late")
        channel.write_eof()
        channel.resize(TerminalSize(100, 40))
        assert await end(channel) == ended(0)
    assert subject.taken() in (b"", None)


async def test_a_cancelled_write_loses_at_most_its_own_end(subject):
    """The command counts its input where the backend does not; it reads only after a while."""
    block, count, found = INPUT * 32768, 0, None
    async with subject.exec("late") as channel:
        with suppress(TimeoutError):
            while count < 64:
                count += 1
                await asyncio.wait_for(channel.write(block), 0.1)
        taken = subject.taken()
        if taken is None:
            channel.write_eof()
            found = await read(channel)
    assert count < 64
    came = len(taken) if found is None else int(found[Stream.STDOUT])
    assert len(block) * (count - 1) <= came <= len(block) * count


async def test_a_size_without_a_terminal_has_no_effect(subject):
    async with subject.exec("cat") as channel:
        channel.resize(TerminalSize(100, 40))
        await channel.write(INPUT)
        channel.write_eof()
        assert (await read(channel))[Stream.STDOUT] == INPUT
        assert await end(channel) == ended(0)
    assert subject.sizes() in ([], None)


async def test_a_terminal_takes_sizes_and_no_end_of_input(subject):
    async with subject.exec("terminal") as channel:
        channel.resize(TerminalSize(100, 40))
        channel.write_eof()
        await channel.write(INPUT)
        seen = b""
        async for stream, data in channel.output():
            assert stream is Stream.STDOUT
            seen += data.replace(b"\r", b"")
            if seen.endswith(INPUT):
                break
    assert subject.sizes() in ([(100, 40)], None)


async def test_a_hop_that_refuses_after_the_start_is_an_outcome(subject):
    try:
        _, outcome = await ran(subject, "missing")
    except HopFailed as error:
        outcome = error.outcome()

    assert outcome.exit_code is None
    assert outcome.hop is Hop.CLUSTER
    assert outcome.message


# Backend


@pytest.mark.parametrize("kind", ["hold", "flood", "stubborn"])
async def test_leaving_ends_what_still_runs(subject, kind):
    async with subject.exec(kind) as channel:
        if kind == "flood":
            await anext(channel.output())  # and no more
        await until(subject.running, 10)
        began = time.monotonic()

    await ended_since(subject, began)


@pytest.mark.parametrize("kind", ["hold", "flood", "stubborn"])
async def test_leaving_ends_what_still_runs_when_it_is_cancelled(subject, kind):
    async def use():
        async with subject.exec(kind) as channel:
            await read(channel)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(use())
        await until(subject.running, 10)
        began = time.monotonic()
        task.cancel()
        await asyncio.wait([task])

    assert task.cancelled()
    await ended_since(subject, began)


async def ended_since(subject, began):
    """The block is left in time, with no channel, and its command ends in time."""
    assert time.monotonic() - began < LIMITS.finish + SLACK
    assert subject.backend.stats().connections["channels"] == 0
    await until(lambda: not subject.running(), LIMITS.finish + SLACK - (time.monotonic() - began))


async def test_a_start_that_fails_names_its_hop(subject):
    with pytest.raises(HopFailed) as failed:
        await ran(subject, "refused")

    assert failed.value.hop in (Hop.SSH, Hop.INCUS)
    assert failed.value.outcome().hop is failed.value.hop
    assert subject.backend.stats().connections["channels"] == 0
    assert await ran(subject, "both") == ({Stream.STDOUT: b"out", Stream.STDERR: b"err"}, ended(3))


async def test_the_namespace_is_there(subject):
    assert await subject.backend.namespace() == "default"


async def test_a_check_has_hops_in_order(subject):
    hops = [one.hop for one in await subject.backend.check()]

    assert hops == sorted(set(hops), key=list(Hop).index)
    assert all(one.ok and one.outcome is None for one in await subject.backend.check())


@chains
async def test_a_check_has_every_hop(subject):
    checks = await subject.backend.check()

    assert [one.hop for one in checks] == [Hop.SSH, Hop.INCUS, Hop.RUNNER, Hop.CLUSTER]
    assert all(one.ms >= 0 for one in checks)


@chains
async def test_a_check_ends_at_the_first_hop_that_does_not_answer(subject):
    *before, last = await subject.broken.check()

    assert all(one.ok for one in before)
    assert not last.ok
    assert last.ms is None
    assert last.outcome.hop is last.hop is Hop.INCUS


@chains
async def test_a_namespace_that_cannot_be_asked_for_names_the_hop(subject):
    with pytest.raises(HopFailed) as failed:
        await subject.broken.namespace()
    assert failed.value.hop is Hop.INCUS


async def test_stats_are_counts_under_labels(subject):
    stats = subject.backend.stats()

    for counts in (stats.connections, stats.leftovers, stats.orphans):
        assert all(type(label) is str and type(count) is int for label, count in counts.items())
    assert all(type(task) is str and type(defect) is str for task, defect in stats.restarts.items())


async def test_channels_are_counted(subject):
    async with subject.exec("hold"):
        await until(subject.running, 10)
        assert subject.backend.stats().connections["channels"] == 1
    assert subject.backend.stats().connections["channels"] == 0


async def test_what_a_backend_can_do_is_fixed(subject):
    backend = subject.backend
    before = backend.kube, backend.resume, backend.dial
    await ran(subject, "true")
    after = backend.kube, backend.resume, backend.dial

    assert backend.kube is not None
    assert all(one is other for one, other in zip(before, after, strict=True))


# PodMonitor


async def test_waiting_for_a_pods_loss_can_be_cancelled(subject):
    monitor = subject.backend.monitor(POD)
    for seconds in (0, 0.2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(monitor.wait_lost(), seconds)


@pytest.mark.parametrize("may_wait", [True, False])
async def test_an_ordinary_end_is_what_it_is(subject, may_wait):
    for outcome in (ended(0), ended(3), Outcome("start_failed", "no such program")):
        monitor = subject.backend.monitor(POD)
        assert await monitor.diagnose(outcome, may_wait=may_wait) == outcome


# ClusterApi


@with_api
async def test_a_pod_is_read(subject):
    pod = await subject.backend.kube.get(f"{PODS}/bash-0")
    assert pod["metadata"]["name"] == "bash-0"


@with_api
async def test_a_list_has_items(subject):
    assert all(isinstance(one, dict) for one in await subject.backend.kube.list(PODS))


@chains
async def test_what_does_not_exist_is_refused_with_the_api_servers_status(subject):
    with pytest.raises(HopFailed) as failed:
        await subject.backend.kube.get(f"{PODS}/nobody-0")

    assert failed.value.hop is Hop.CLUSTER
    assert failed.value.status.code == 404


@chains
async def test_an_answer_has_a_limit(subject):
    with pytest.raises(HopFailed):
        await subject.backend.kube.get(f"{PODS}/bash-0", size=10)


async def test_permission_is_granted_or_unknown(subject):
    assert await subject.backend.kube.may("create", "pods/exec", "default", "bash-0") in (True, None)


async def test_a_watch_goes_on_or_is_refused(subject):
    kube = subject.backend.kube
    async with aclosing(kube.watch(f"{PODS}?resourceVersion=0")) as events:
        with pytest.raises(TimeoutError if kube.watches else HopFailed):
            await asyncio.wait_for(its_end(events), 0.2)


async def its_end(events):
    async for _ in events:
        pass


# Dial


@dialling
async def test_a_connection_from_the_runner(subject, tmp_path):
    async def serve(reader, writer):
        writer.write((await reader.read())[::-1])
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "socket"):
        async with subject.backend.dial(f"unix:{tmp_path}/socket") as stream:
            await stream.write(b"abc")
            await stream.write(b"def")
            stream.write_eof()
            found = b""
            while data := await stream.read():
                found += data
            assert found == b"fedcba"
            assert await stream.read() == b""
            await stream.write(b"late")
        assert subject.backend.stats().connections["channels"] == 0


@dialling
async def test_a_connection_that_cannot_be_made_is_a_failed_hop(subject, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for address, code in (
        (f"unix:{tmp_path}/nowhere", "address_unknown"),
        ("tcp:host.invalid:80", "address_unknown"),
        (f"tcp:127.0.0.1:{port}", "address_unreachable"),
    ):
        with pytest.raises(HopFailed) as failed:
            async with subject.backend.dial(address):
                pass
        assert failed.value.code == code
