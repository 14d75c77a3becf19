"""`dap logs` at the demo, whose containers have said three lines each."""

import asyncio
import os
import signal

import pytest
from support.dap import on_a_terminal
from support.repeated import again

from gateway.client.logs.wish import selections
from gateway.protocol.errors import BadRequest

FIRST = b"this is the demo of dap: container %s of pod default/%s runs no process of its own\n"
LAST = b"nothing more will be written here\n"


def test_the_log_of_a_pod_and_of_several(called, at):
    one, several, stamped = (
        called("logs", "web-0", "-c", "side", env=at),
        called("logs", "deploy/api", "bash-0", "--tail", "1", env=at),
        called("logs", "-l", "app=api", "--timestamps", "-q", env=at),
    )
    assert (one.code, one.out.splitlines(keepends=True)[0], one.err) == (0, FIRST % (b"side", b"web-0"), "")
    rows = sorted(several.out.splitlines(keepends=True))
    assert rows == [
        b"%s: %s" % (pod, LAST) for pod in (b"api-7c9d8f6b5d-4xkzq", b"api-7c9d8f6b5d-m2v8p", b"bash-0")
    ]
    times = [row.split(b" ")[1] for row in stamped.out.splitlines()]
    assert times == sorted(times)
    assert len(times) == 6


async def test_a_command_that_runs_meanwhile(home, at):
    """Its exit status is that of `dap`, and it sees our streams; what was there before is not shown."""
    done = await home.dap("logs", "web-0", "--", "sh", "-c", "cat; exit 3", data=b"typed", env=at)
    assert (done.code, done.out, done.err) == (3, b"typed", "")


def test_what_is_shown_where_there_is_no_such_command(called, at):
    done = called("logs", "web-0", "--tail", "1", "--", "no-such-program", env=at)
    assert (done.code, done.out) == (127, LAST)


async def test_colours_on_a_terminal_and_the_end_by_ctrl_c(home, at):
    async with on_a_terminal(home, "logs", "-f", "deploy/api", "--tail", "1", env=at) as screen:
        await screen.until(b"\x1b[36mapi-7c9d8f6b5d-")
        await screen.until(b":\x1b[0m nothing more")
        screen.type(b"\x03")
        assert await screen.ended() == 128 + signal.SIGINT
    async with on_a_terminal(home, "logs", "deploy/api", "--no-color", env=at) as screen:
        assert await screen.ended() == 0
        assert b"\x1b[" not in screen.seen


async def test_a_reader_that_leaves(home, at):
    read, write = os.pipe()
    process = await home.start("logs", "-f", "web-0", env=at, stdout=write)
    os.close(write)
    assert (await asyncio.to_thread(os.read, read, 10)) == b"this is th"
    os.close(read)
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("web-9", 125, 'cluster: pods "web-9" not found (pod_not_found)'),
        ("web-0 -c nope", 125, "container nope is not valid for pod web-0; it has side, main"),
        ("-l app=nothing", 125, "there are no pods of app=nothing in namespace default"),
        again("deploy/nope", 125, 'deployments.apps "nope" not found'), again("web-0 --cluster nowhere", 125, "nowhere"),
        ("web-0 --since soon", 2, "is no time: write it as in 90s"), ("web-0 --all", 2, "name no others with it"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_said_in_a_sentence(called, at, words, code, said):
    done = called("logs", *words.split(), env=at)
    assert (done.code, done.out) == (code, b"")
    assert said in done.err


@pytest.mark.parametrize(("words", "labels"), [((), ()), ((), (" ",)), (("a/b",), ()), (("Web",), ())])
def test_what_selects_nothing_is_refused(words, labels):
    with pytest.raises(BadRequest):
        selections("default", None, words, labels, everything=False)
