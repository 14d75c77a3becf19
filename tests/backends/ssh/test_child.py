"""A program's number is its own for as long as a signal may go there: the kernel gives it to nobody before."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.leaks import gone
from support.waiting import until

from gateway.backends.ssh.child import Child
from gateway.backends.ssh.program import run
from gateway.backends.ssh.proxy_command import start_proxy_command


@pytest.fixture
def signals(monkeypatch):
    """For each signal to a group: whether the process that led it was still there, be it as a zombie."""
    sent, usual = [], os.killpg

    def killpg(pid, number):
        sent.append((signal.Signals(number), Path(f"/proc/{pid}").exists()))
        usual(pid, number)

    monkeypatch.setattr(os, "killpg", killpg)
    return sent


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /proc")
async def test_what_a_program_left_is_killed_before_its_number_is_free(signals):
    ended = await run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!; exit 3"], seconds=10)

    assert ended.status == 3
    assert signals == [(signal.SIGKILL, True)]
    assert gone(int(ended.output))


@pytest.mark.parametrize("given", [None, b"", b"x" * 1_000_000])
async def test_a_program_gets_its_input_and_is_read_to_its_end(given):
    ended = await run(["sh", "-c", "wc -c; echo words >&2; kill -TERM $$"], given=given, seconds=10)

    assert int(ended.output) == len(given or b"")
    assert (ended.status, ended.words) == (-signal.SIGTERM, "words")


async def test_much_on_both_outputs_is_read():
    script = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; echo >&2; echo end >&2"
    ended = await run(["sh", "-c", script], seconds=20)

    assert len(ended.output) == 3_000_000
    assert ended.words == "end"


@pytest.mark.parametrize("how", ["in time", "cancelled"])
async def test_a_program_without_an_end_is_killed_with_what_it_started(signals, tmp_path, how):
    script = f"sleep 600 & echo $$ $! >{tmp_path}/pids; wait"
    task = asyncio.create_task(run(["sh", "-c", script], seconds=0.5 if how == "in time" else 600))  # noqa: TID251  # awaited below
    await until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().endswith("\n"))
    if how == "cancelled":
        task.cancel()
    with suppress(asyncio.CancelledError, TimeoutError):
        await task

    assert signals == [(signal.SIGKILL, True)]
    for pid in (tmp_path / "pids").read_text().split():
        assert gone(int(pid))


async def test_a_program_that_is_not_there_is_an_error_of_its_start():
    with pytest.raises(FileNotFoundError):
        await run(["/no/such/program"], seconds=1)


@pytest.mark.parametrize(
    "line", ["cat", "exit 3", "sh -c 'sleep 600 2>/dev/null & exit 0'", "sh -c 'trap \"\" TERM; sleep 600'"]
)
async def test_a_proxy_command_is_signalled_only_while_its_number_is_its_own(signals, line):
    proxy = await start_proxy_command(line, shell="/bin/sh", seconds=0.3)
    await asyncio.sleep(0.3)  # the shell may have ended for a while
    proxy.close()
    await proxy.wait_closed()
    await asyncio.sleep(0.5)

    assert signals[0] == (signal.SIGTERM, True)
    assert all(there for _, there in signals)
    assert [number for number, _ in signals[1:]] == [signal.SIGKILL]
    assert gone(proxy.child.pid)


async def test_after_its_end_nothing_is_sent(signals):
    child = Child(["true"])
    await child.exited.wait()
    child.end()
    child.end()
    child.send(signal.SIGTERM)

    assert child.status == 0
    assert signals == [(signal.SIGKILL, True)]
    assert gone(child.pid)


async def test_its_number_is_given_back_also_where_it_ends_later(signals):
    child = Child(["sleep", "600"])
    child.end()
    await child.exited.wait()

    assert child.status == -signal.SIGKILL
    assert signals == [(signal.SIGKILL, True)]
    assert gone(child.pid)
