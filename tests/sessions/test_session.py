"""A session's story and its ends, on a clock of its own."""

import asyncio
import gc
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from support.channel import ERR, OUT, Script, ScriptedBackend
from support.virtual_time import now, run

from gateway.access.identity import Identity
from gateway.backends.resume import RecoveredSession
from gateway.errors import HopFailed
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.relay.spool import Spools
from gateway.relay.wire import FULL
from gateway.sessions.record import SessionRecord
from gateway.sessions.resumption import Resumption
from gateway.sessions.session import Session
from gateway.settings.config import Limits

COMMAND = Command(("cat",), stdin=True, stdout=True, stderr=True)
TERMINAL = replace(COMMAND, tty=True, own_client=True)
NEVER = 1e6
LOST = Outcome("cluster_lost", "the API server went away")
GONE = Outcome("client_closed")


@pytest.fixture(scope="module", autouse=True)
def garbage_is_looked_at():
    """What a story dropped without its end (an error that nobody fetched) fails this module, not a later one."""
    yield
    gc.collect()


def session_of(
    script: Script, command: Command = COMMAND, spools: Spools | None = None, **limits: int
) -> Session:
    return Session(
        "s", Identity("me", "token"), Target("default", "ns", "pod"), command,
        ScriptedBackend(script), replace(Limits(), **limits), spools=spools,
    )  # fmt: skip


def output(session: Session) -> bytes:
    journal, found = session.output, b""
    while record := journal.read(journal.start + len(found)):
        found += record[1]
    return found


async def finished(session: Session) -> Outcome:
    """Runs it; afterwards nothing of it may live."""
    before = asyncio.all_tasks()
    try:
        outcome = await session.run()
    finally:
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - before
        assert not left, left
        assert session.output.closed
    assert outcome is session.outcome
    return outcome


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_command_ends(code):
    async def story():
        script = Script([(OUT, b"a"), (ERR, b"b"), 1, (OUT, b"c"), ended(code)])
        session = session_of(script)
        assert await finished(session) == ended(code)
        assert output(session) == b"abc"
        assert session.output.read(1) == (ERR, b"b")
        assert (script.entered, script.left) == (1, 1)
        assert now() == 1

    run(story())


def test_a_hop_fails_before_the_start():
    async def story():
        script = Script(start=[0.5, HopFailed("incus_stopped", "not running")])
        session = session_of(script)
        assert await finished(session) == Outcome("incus_stopped", "not running")
        assert session.times.started is None
        assert script.entered == 0

    run(story())


def test_a_hop_fails_in_mid_stream():
    async def story():
        session = session_of(Script([(OUT, b"some"), 1, LOST]))
        assert await finished(session) is LOST
        assert output(session) == b"some"

    run(story())


def test_a_hop_that_raises_in_mid_stream():
    async def story():
        script = Script([(OUT, b"some"), 1, HopFailed("ssh_lost", "cut")])
        session = session_of(script)
        assert await finished(session) == Outcome("ssh_lost", "cut")
        assert output(session) == b"some"
        assert script.left == 1

    run(story())


def test_the_client_goes_before_the_start():
    async def story():
        script = Script(start=[NEVER])
        session = session_of(script)
        asyncio.get_running_loop().call_later(2, session.end, GONE)
        assert await finished(session) is GONE
        assert (now(), script.entered) == (2, 0)

    run(story())


def test_the_client_goes_before_it_runs():
    async def story():
        script = Script(start=[NEVER])
        session = session_of(script)
        session.end(GONE)
        assert await finished(session) is GONE
        assert now() == 0

    run(story())


def test_the_client_goes_in_the_middle():
    async def story():
        script = Script([*[(OUT, b"x"), 0.1] * 1000], finish=2.0)
        session = session_of(script)
        asyncio.get_running_loop().call_later(1.05, session.end, GONE)
        assert await finished(session) is GONE
        assert (round(now(), 2), script.left) == (3.05, 1)
        assert output(session) == b"x" * 11

    run(story())


def test_the_client_goes_under_a_flood():
    """Output that never waits must not keep the end from being seen for ever."""

    async def story():
        script = Script([*[(OUT, b"x"), 0.0] * 10_000, NEVER])
        session = session_of(script)
        asyncio.get_running_loop().call_soon(session.end, GONE)
        assert await finished(session) is GONE
        assert len(output(session)) < 100

    run(story())


def test_more_output_waits_than_the_journal_may_hold():
    async def story():
        script = Script([*[(OUT, bytes(100))] * 11, NEVER])
        session = session_of(script, journal_memory=200, journal_capacity=1000)
        assert (await finished(session)).code == "slow_client"
        assert len(output(session)) == 1000
        assert script.left == 1
        session.output.discard()

    run(story())


def test_output_that_waits_has_no_place_on_the_disk(monkeypatch, tmp_path):
    """It is named, and what memory holds is still to be had."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))

    async def story():
        script = Script([*[(OUT, bytes(100))] * 11, NEVER])
        session = session_of(script, journal_memory=200, journal_capacity=1000)
        outcome = await finished(session)
        assert outcome.code == "spool_failed"
        assert "No such file or directory" in outcome.message
        assert len(output(session)) >= 200
        assert script.left == 1
        session.output.discard()

    run(story())


def test_a_reader_that_keeps_up_has_no_limit():
    async def story():
        script = Script([*[(OUT, bytes(100)), 0.01] * 100])
        session = session_of(script, journal_memory=200, journal_capacity=1000)
        got = 0

        async def read():
            nonlocal got
            with session.watching() as changed:
                while session.outcome is None or got < session.output.end:
                    changed.clear()
                    while record := session.output.read(got):
                        got += len(record[1])
                        session.output.drop(got)
                    if session.outcome is None:
                        await changed.wait()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            assert await session.run() == ended(0)
        assert got == 10_000
        session.output.discard()

    run(story())


def test_it_is_cancelled():
    async def story():
        script = Script([(OUT, b"x"), NEVER], finish=1.0)
        session = session_of(script)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(session.run())
            await asyncio.sleep(1)
            task.cancel()
        assert task.cancelled()
        assert session.outcome == Outcome("shutdown")
        assert (now(), script.left) == (2, 1)

    run(story())


def test_a_defect_is_an_outcome_and_is_raised():
    async def story():
        script = Script([(OUT, b"x"), ZeroDivisionError("oops")])
        session = session_of(script)
        with pytest.raises(ExceptionGroup) as raised:
            await finished(session)
        assert isinstance(raised.value.exceptions[0], ZeroDivisionError)
        assert session.outcome == Outcome("gateway_error")
        assert script.left == 1

    run(story())


def test_a_defect_in_the_input_is_one_too():
    async def story():
        class Broken(Script):
            @property
            def slow(self):
                raise ZeroDivisionError

            @slow.setter
            def slow(self, _): ...

        session = session_of(Broken([NEVER]))
        await session.write(b"x")
        with pytest.raises(ExceptionGroup):
            await finished(session)
        assert session.outcome == Outcome("gateway_error")

    run(story())


@pytest.mark.parametrize("order", ["exit", "client"])
def test_the_first_outcome_wins(order):
    """Two in one moment: the one that was there first, and never none or both."""

    async def story():
        script = Script([1, ended(7)], finish=1.0)
        session = session_of(script)
        loop = asyncio.get_running_loop()
        loop.call_later(1.5 if order == "exit" else 0.5, session.end, GONE)
        assert await finished(session) == (ended(7) if order == "exit" else GONE)
        session.end(Outcome("shutdown"))
        assert session.outcome.code == ("exited" if order == "exit" else "client_closed")

    run(story())


def test_the_first_end_wins():
    async def story():
        session = session_of(Script([NEVER]))
        session.end(GONE)
        session.end(Outcome("shutdown"))
        assert await finished(session) is GONE

    run(story())


def test_a_hop_that_fails_while_the_client_goes():
    async def story():
        script = Script([1, HopFailed("ssh_lost", "cut")])
        session = session_of(script)
        asyncio.get_running_loop().call_later(1, session.end, GONE)
        assert (await finished(session)).code in ("ssh_lost", "client_closed")

    run(story())


def test_a_hop_that_fails_on_the_way_out_does_not_change_the_outcome():
    async def story():
        script = Script([ended(3)])
        backend = ScriptedBackend(script)
        session = session_of(script)

        class Failing(ScriptedBackend):
            def exec(self, target, command):
                inner = backend.exec(target, command)

                class Leaving:
                    async def __aenter__(self):
                        return await inner.__aenter__()

                    async def __aexit__(self, *error):
                        await inner.__aexit__(*error)
                        raise HopFailed("ssh_lost", "late")

                return Leaving()

        session._backend = Failing(script)
        assert await finished(session) == ended(3)

    run(story())


def test_input_arrives_in_order_and_once():
    async def story():
        script = Script(slow=0.1)
        script.output = [script.eof, 1.0, ended(0)]
        session = session_of(script)
        await session.write(b"early ")

        async def type_keys():
            await asyncio.sleep(0.5)
            for number in range(200):
                await session.write(b"%d " % number)
            session.write_eof()
            await session.write(b"late")
            session.write_eof()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(type_keys())
            assert await session.run() == ended(0)
        assert script.stdin == b"early " + b"".join(b"%d " % number for number in range(200))
        assert script.eofs == 1
        assert session.bytes_in == len(script.stdin)

    run(story())


def test_half_close_ends_the_input_and_not_the_output():
    async def story():
        script = Script()
        script.output = [script.eof, 5, (OUT, b"after"), ended(0)]
        session = session_of(script)
        session.write_eof()
        assert await finished(session) == ended(0)
        assert output(session) == b"after"

    run(story())


def test_without_stdin_the_command_reads_the_end_at_once():
    async def story():
        script = Script()
        script.output = [script.eof, ended(0)]
        session = session_of(script, replace(COMMAND, stdin=False))
        assert await finished(session) == ended(0)
        assert script.eofs == 1

    run(story())


@pytest.mark.parametrize("stream", [OUT, ERR])
def test_streams_that_nobody_asked_for_are_not_kept(stream):
    async def story():
        command = replace(COMMAND, stdout=stream is OUT, stderr=stream is ERR)
        session = session_of(Script([(OUT, b"1"), (ERR, b"2")]), command)
        await finished(session)
        assert output(session) == (b"1" if stream is OUT else b"2")

    run(story())


def test_a_size_before_the_start_is_the_size_at_the_start():
    async def story():
        script = Script([1.0])
        session = session_of(script, replace(COMMAND, tty=True, size=TerminalSize(1, 1)))
        for number in range(2, 10):
            session.resize(TerminalSize(number, number))
        await finished(session)
        assert script.command.size == TerminalSize(9, 9)
        assert script.sizes == []

    run(story())


def test_a_size_during_the_start_is_not_lost():
    async def story():
        script = Script([1.0], start=[1.0])
        session = session_of(script, replace(COMMAND, tty=True))
        asyncio.get_running_loop().call_later(0.5, session.resize, TerminalSize(120, 40))
        await finished(session)
        assert script.command.size is None
        assert script.sizes == [TerminalSize(120, 40)]

    run(story())


def test_the_latest_size_wins():
    async def story():
        script = Script([10.0])
        session = session_of(script, replace(COMMAND, tty=True))

        def storm():
            for number in range(1, 1001):
                session.resize(TerminalSize(number, number))

        asyncio.get_running_loop().call_later(1, storm)
        asyncio.get_running_loop().call_later(2, session.resize, TerminalSize(5, 5))
        await finished(session)
        assert script.sizes == [TerminalSize(1000, 1000), TerminalSize(5, 5)]

    run(story())


def test_input_waits_on_disk_and_then_its_writer_waits():
    async def story():
        script = Script(slow=NEVER)
        script.output = [100.0, ended(0)]
        session = session_of(script, replace(COMMAND, tty=True), journal_memory=1000, stdin_capacity=10_000)
        wrote = []

        async def type_keys():
            for _ in range(20):
                await session.write(bytes(1000))
                wrote.append(now())

        async with asyncio.TaskGroup() as tasks:
            keys = tasks.create_task(type_keys())
            running = tasks.create_task(session.run())
            await asyncio.sleep(50)
            assert not keys.done()
            assert 10 <= len(wrote) <= 11
            session.resize(TerminalSize(7, 7))  # passes what waits
            await asyncio.sleep(1)
            assert script.sizes == [TerminalSize(7, 7)]
            assert await running == ended(0)
        assert keys.done()  # after the end there is nobody to wait for
        assert session.bytes_in <= 11_000

    run(story())


def test_input_that_the_command_takes_soon_does_not_go_to_the_disk():
    async def story():
        spools = Spools(inline=True)
        script = Script(slow=0.01)
        script.output = [script.eof, ended(0)]
        session = session_of(script, journal_memory=1000, stdin_capacity=100_000, spools=spools)
        taken = []

        async def send():
            for _ in range(50):
                await session.write(bytes(400))
                taken.append(spools.taken)
            session.write_eof()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            assert await session.run() == ended(0)
        assert len(script.stdin) == 20_000
        assert set(taken) == {0}

    run(story())


def test_a_command_that_does_not_take_its_input_is_waited_for_a_moment_once():
    async def story():
        spools = Spools(inline=True)
        script = Script([NEVER], slow=NEVER)
        session = session_of(script, journal_memory=1000, stdin_capacity=100_000, spools=spools)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.run())
            for _ in range(50):
                await session.write(bytes(400))
            assert now() < 0.1
            assert spools.taken >= 18_000
            session.end(GONE)

    run(story())


def test_a_command_may_end_while_input_waits_for_it_a_moment():
    async def story():
        script = Script(slow=NEVER)
        script.output = [0.02, ended(0)]
        session = session_of(script, journal_memory=1000)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.run())
            for _ in range(50):
                await session.write(bytes(400))
        assert session.outcome == ended(0)
        assert now() < 0.05

    run(story())


def test_input_goes_to_the_channel_in_full_frames():
    async def story():
        script = Script()
        script.output = [script.eof, ended(0)]
        session = session_of(script)
        for _ in range(8):
            await session.write(bytes(65536))
        session.write_eof()
        assert await session.run() == ended(0)
        *full, last = map(len, script.written)
        assert sum(full) + last == 8 * 65536
        assert last < FULL
        assert [size % FULL for size in full] == [0] * len(full)

    run(story())


def test_one_large_write_passes_through_a_small_store():
    async def story():
        script = Script()
        script.output = [script.eof, ended(0)]
        session = session_of(script, journal_memory=10, stdin_capacity=64)
        data = bytes(range(256)) * 10

        async def type_keys():
            await session.write(data)
            session.write_eof()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(type_keys())
            assert await session.run() == ended(0)
        assert script.stdin == data

    run(story())


def test_the_client_may_go_while_input_waits():
    async def story():
        script = Script([NEVER], slow=NEVER)
        session = session_of(script, stdin_capacity=10)
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(session.write(bytes(100)))
            tasks.create_task(session.run())
            await asyncio.sleep(1)
            assert not writer.done()
            session.end(GONE)
        assert session.outcome is GONE
        assert now() == 1

    run(story())


def test_who_watches_hears_of_start_output_and_end():
    async def story():
        session = session_of(Script([1, (OUT, b"x"), 1, ended(0)], start=[1]))
        heard = []

        async def watch():
            with session.watching() as changed:
                while session.outcome is None:
                    await changed.wait()
                    changed.clear()
                    heard.append((now(), session.times.started, session.output.end))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch())
            await session.run()
        assert [(when, end) for when, _, end in heard] == [(1, 0), (2, 1), (3, 1)]
        assert session.times.first_byte is not None
        assert session._watchers == set()

    run(story())


@pytest.mark.parametrize("ours", [True, False])
def test_what_the_end_was_in_truth_is_for_clients_that_wait_for_it(ours):
    async def story():
        truth = Outcome("container_restarted", "it was restarted")
        session = session_of(Script([ended(137)], truth=truth), replace(COMMAND, own_client=ours))
        told = replace(truth, message="it was restarted, in namespace ns")
        assert await finished(session) == (told if ours else ended(137))

    run(story())


@pytest.mark.parametrize(
    ("command", "typed", "lasted", "unasked"),
    [
        (TERMINAL, None, 9, True),
        (TERMINAL, 8.5, 9, False),
        (TERMINAL, 5, 9, True),
        (TERMINAL, None, 0.5, False),
        (replace(TERMINAL, own_client=False), None, 9, True),
        (replace(TERMINAL, tty=False), None, 9, True),
        (replace(TERMINAL, tty=False, stdin=False), None, 9, False),
    ],
    ids=[
        "by itself",
        "after a key",
        "long after a key",
        "at once",
        "a Kubernetes client's",
        "on pipes",
        "no input",
    ],
)
def test_the_end_of_a_terminal_at_which_nobody_typed_may_not_be_its_own(command, typed, lasted, unasked):
    async def story():
        script = Script(start=[7], output=[lasted, ended(0)])
        session = session_of(script, command)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.run())
            if typed:
                await asyncio.sleep(7 + typed)
                await session.write(b"exit\r")
        assert script.unasked == [unasked]

    run(story())


def test_nobody_typed_lately_at_a_session_of_an_earlier_life():
    """What it ended with while there was no gateway comes at once."""

    class Kept(ScriptedBackend):
        grace, survives = 1.0, True

        @asynccontextmanager
        async def recover(self, _found, target, command, _owner):
            async with self.exec(target, command) as channel:
                channel.note = lambda _: None
                yield channel

    async def story():
        script = Script([ended(0)])
        note = SessionRecord(Identity("me", "token"), Target("default", "ns", "pod"), TERMINAL, ())
        kept = Kept(script)
        resumption = Resumption(kept, note, RecoveredSession("s", {}, 0, 0, 0, 0))
        session = Session("s", note.identity, note.target, note.command, kept, Limits(), resumption)
        assert await finished(session) == ended(0)
        assert script.unasked == [True]

    run(story())


def test_a_deleted_pod_ends_a_session_whose_kubectl_does_not_hear_of_it():
    """The rest of the output comes before."""

    async def story():
        gone = Outcome("pod_deleted", "it was deleted")
        session = session_of(Script([7, (OUT, b"last words"), NEVER], lost=[5, gone]))
        assert await finished(session) == replace(gone, message="it was deleted, in namespace ns")
        assert output(session) == b"last words"
        assert 5 < now() <= 10

    run(story())


def test_a_kubectl_that_hears_of_it_ends_the_session():
    async def story():
        session = session_of(Script([6, ended(137)], lost=[5, Outcome("pod_deleted", "x")]))
        assert await finished(session) == ended(137)
        assert now() == 6

    run(story())
