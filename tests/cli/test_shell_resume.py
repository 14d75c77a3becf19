"""`dap shell` outlives its connections: nothing lost, nothing doubled, and the person knows."""

import asyncio
import os
import random
import re
import signal
from pathlib import Path

import pytest
from support.dap import on_a_terminal
from support.fake_gateway import fake_gateway
from support.fake_session import NAME, living
from support.repeated import again
from support.waiting import until

from gateway.protocol.outcome import Outcome

WINDOW = 16384
LOST = {"code": "ssh_lost", "hop": "ssh", "message": "the connection was lost", "seconds": 60}


async def mirror(session):
    """A program that says what it got, and ends with 5 on Ctrl-D."""
    await session.write(b"ready\r\n")
    while (key := await session.read(1)) != b"\x04":
        await session.write(b"<" + key + b">")
    await session.end(5)


async def test_a_short_loss_goes_unnoticed_but_for_title_and_bell(home):
    """Nothing on the screen; what is typed meanwhile arrives, and the title comes back."""
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        shown = await screen.until(b"ready\r\n")
        session.cut()
        shown += await screen.until(b"\x07\x07")
        await session.attached(2)
        shown += await screen.until(b"\x1b[23;2t")
        screen.type(b"a\x04")
        code = await screen.ended()

    assert code == 5
    title = re.compile(rb"\x1b\[22;2t\x1b\]2;dap: gateway: connection lost, waiting 600 s more\x07\x07")
    rest = title.sub(b"", shown + screen.seen, count=1)
    rest = re.sub(rb"\x1b\]2;[^\x07]*\x07", b"", rest).replace(b"\x1b[23;2t", b"")
    assert rest == b"ready\r\n<a>"
    assert session.attaches == [{"type": "attach", "secret": session.attaches[0]["secret"], "offset": 7}]
    assert screen.restored


async def test_numbered_lines_in_both_directions_over_random_cuts(home):
    """Each line once and in order, whatever the moment of the cut."""
    seed = random.randrange(1 << 32)
    dice, lines = random.Random(seed), 3000
    typed = b"".join(b"key %05d\r" % number for number in range(lines))
    finished = asyncio.Event()

    async def program(session):
        async def talk():
            for number in range(lines):
                await session.write(b"line %05d\r\n" % number)
                if number % 10 == 0:
                    await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            group.create_task(talk())
            assert await session.read(len(typed)) == typed
        finished.set()
        await session.write(b"all done\r\n")
        await session.end(0)

    async def nemesis(session):
        while not finished.is_set():
            await asyncio.sleep(dice.random() * 0.15)
            if session.client:
                dice.choice([session.cut, session.die])()

    async with living(program, home.socket, window=4096, lag=500) as session:  # noqa: SIM117
        async with on_a_terminal(home, "shell", "web-0") as screen:
            seen = b""
            async with asyncio.TaskGroup() as group:
                await screen.until(b"line 00000")
                group.create_task(nemesis(session))
                typing = group.create_task(asyncio.to_thread(_type, screen.master, typed))
                seen += await screen.until(b"all done\r\n")
                await typing
            code = await screen.ended()

    numbers = [int(found) for found in re.findall(rb"line (\d{5})\r\n", seen)]
    assert (code, seed) == (0, seed)
    assert numbers == list(range(1, lines)), seed
    assert len(session.attaches) > 5


def _type(fd, data):
    os.set_blocking(fd, True)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest[:4096]) :]


def peak(pid):
    """Bytes of memory that a process had at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


async def test_after_three_seconds_a_line_says_so_and_the_program_draws_again(home):
    async def program(session):
        await session.write(b"ready\r\n")
        await session.until(lambda: len(session.sizes) >= 2)
        await session.end(0)

    async with living(program, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        session.refusals = [Outcome("shutdown")] * 4
        session.cut()
        await screen.until(b"\r\ndap: gateway: the connection to the gateway was lost: waiting 59")
        await screen.until(b"\r\ndap: connected again\r\n")
        code = await screen.ended()

    assert code == 0
    assert [(size.columns, size.rows) for size in session.sizes][-2:] == [(80, 23), (80, 24)]


async def test_a_key_brings_the_line_at_once_and_is_kept(home):
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        session.refusals = [Outcome("shutdown")] * 3
        session.cut()
        await screen.until(b"connection lost")
        screen.type(b"x")
        await screen.until(b"keys are kept")
        await screen.until(b"<x>")
        screen.type(b"\x04")
        code = await screen.ended()

    assert code == 5
    assert bytes(session.typed) == b"x\x04"


@pytest.mark.parametrize("keys", [again(b"\x03"), b"\r~."])
async def test_giving_up_by_key_names_the_hop_and_where_the_session_is(home, keys):
    """The first key only brings the line: a Ctrl-C then may well have been for the program."""
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        session.refusals = [Outcome("shutdown")] * 100
        session.cut()
        await screen.until(b"connection lost")
        screen.type(b"\x03")
        await screen.until(b"gives up\r\n")
        screen.type(keys)
        code = await screen.ended()

    assert code == 130
    assert b"dap: gateway: the connection to the gateway was lost, given up; the session waits" in screen.seen
    assert f"dap attach {NAME} (gateway_lost)\r\n".encode() in screen.seen
    assert screen.restored


async def test_when_its_time_is_over_it_gives_up_and_names_the_hop(home):
    async with (
        living(mirror, home.socket, grace=1.5) as session,
        on_a_terminal(home, "shell", "web-0") as screen,
    ):
        await screen.until(b"ready")
        session.refusals = [Outcome("shutdown", "the gateway is starting")] * 100
        session.cut()
        code = await screen.ended()

    assert code == 125
    assert screen.seen.endswith(
        b"\r\ndap: gateway: no connection in time, given up: the gateway is starting (gateway_lost)\r\n"
    )
    assert len(session.attaches) >= 2
    assert screen.restored


@pytest.mark.parametrize(
    "outcome", [again(Outcome("session_unknown")), Outcome("resume_refused", "another client took over")]
)
async def test_an_attach_that_is_refused_for_good_ends_it(home, outcome):
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        session.refusals = [outcome]
        session.cut()
        code = await screen.ended()

    assert code == 125
    assert screen.seen.endswith(f"({outcome.code})\r\n".encode())
    assert len(session.attaches) == 1


async def test_output_that_is_gone_is_marked_and_the_rest_goes_on(home):
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready\r\n")
        session.refusals = [Outcome("offset_gone")]
        session.cut()
        session.output += b"." * 70000
        await screen.until(b"\x1b[0;7m[dap: 4464 bytes of output skipped]\x1b[0m\r\n")
        await screen.until(b"." * 65536)
        screen.type(b"\x04")
        code = await screen.ended()

    assert code == 5
    assert [attach["offset"] for attach in session.attaches] == [7, None]
    assert screen.seen == b""


async def test_a_session_that_ended_meanwhile_tells_its_rest_and_its_end(home):
    async def program(session):
        await session.write(b"ready\r\n")
        await gone.wait()
        await session.write(b"last words\r\n")
        await session.end(7)

    gone = asyncio.Event()
    async with living(program, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        session.cut()
        gone.set()
        await screen.until(b"last words")
        code = await screen.ended()

    assert code == 7


async def test_another_client_takes_over(home):
    """The first one is told, and restores its terminal; the second one goes on, its program drawing again."""
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as first:
        await first.until(b"ready")
        async with on_a_terminal(home, "attach", NAME) as second:
            code = await first.ended()
            await second.until(b"ready")
            await session.until(lambda: len(session.sizes) == 2)
            second.type(b"b\x04")
            await second.until(b"<b>")
            assert await second.ended() == 5

    assert code == 125
    assert first.seen.endswith(
        b"dap: client: another client took the session over, where it goes on (taken_over)\r\n"
    )
    assert first.restored
    assert second.restored
    assert session.attaches == [{"type": "attach", "secret": None, "offset": None}]
    assert [size.rows for size in session.sizes][:2] == [23, 24]


async def test_ctrl_c_ends_an_attach_that_gets_no_answer(home):
    """Until the session is ours the keys are ours, too."""

    async def script(client):
        await client.receive()
        await client.receive()

    async with fake_gateway(script, home.socket) as gateway, on_a_terminal(home, "attach", NAME) as screen:
        await gateway.joined.wait()
        screen.type(b"\x03")
        code = await screen.ended()

    assert code == 130
    assert screen.restored


async def test_a_gap_is_marked_where_it_is(home):
    async def program(session):
        await session.write(b"before\x1b[3")
        await session.gap(1234)
        await session.write(b"after")
        await session.end(0)

    async with living(program, home.socket), on_a_terminal(home, "shell", "web-0") as screen:
        shown = await screen.until(b"after")
        code = await screen.ended()

    assert code == 0
    assert shown == b"before\x1b[3\x18\r\n\x1b[0;7m[dap: 1234 bytes of output skipped]\x1b[0m\r\nafter"


async def test_a_line_in_the_middle_of_a_sequence_has_the_sequence_sent_again(home):
    async def program(session):
        await session.write(b"ready \x1b[3")
        await go.wait()
        await session.write(b"1mred\x1b[m")
        await session.end(0)

    go = asyncio.Event()
    async with living(program, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready \x1b[3")
        session.refusals = [Outcome("shutdown")] * 2
        session.cut()
        await session.until(lambda: bool(session.attaches))
        screen.type(b"x")
        shown = await screen.until(b"gives up\r\n")
        go.set()
        await screen.until(b"\x1b[31mred")
        code = await screen.ended()

    assert code == 0
    assert shown.startswith(b"\x18\r\ndap: ")
    assert session.attaches[-1]["offset"] == len(b"ready ")


async def test_giving_up_while_a_hop_behind_the_gateway_is_lost_leaves_the_session(home):
    """The connection lives, and to close it would end the session."""
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        await session.say("hop", **LOST)
        await screen.until(b"connection lost")
        screen.type(b"\x03")
        await screen.until(b"gives up\r\n")
        screen.type(b"\x03")
        code = await screen.ended()
        await session.until(lambda: bool(session.closes))

    assert code == 130
    assert session.closes == [1006]
    assert f"dap attach {NAME} (ssh_lost)\r\n".encode() in screen.seen


async def test_a_warning_and_a_lost_hop_behind_the_gateway_are_told_in_the_title(home):
    """The screen stays the program's until a key is pressed without a connection; with one all keys are the program's."""
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready\r\n")
        screen.type(b"\r~.\x03")
        await screen.until(b"<\r><~><.><\x03>")

        await session.say("warning", code="idle", seconds=60)
        shown = await screen.until(b"\x07\x07")
        await session.say("warning", code=None)
        shown += await screen.until(b"\x1b[23;2t")
        assert shown == b"\x1b[22;2t\x1b]2;dap: idle, ends in 60 s unless a key is pressed\x07\x07\x1b[23;2t"

        await session.say("warning", code="max_age", seconds=60)
        warning = (await screen.until(b"\x07\x07")).rpartition(b"\x1b]2;")[2]
        await session.say("hop", **LOST)
        await screen.until(b"connection lost, waiting 60 s more\x07")
        await session.say("hop", code=None)
        await screen.until(b"\x1b]2;" + warning.rstrip(b"\x07"))  # still to be read after a lost hop
        await session.say("warning", code=None)
        await screen.until(b"\x1b[23;2t")

        await session.say("hop", **LOST)
        await screen.until(b"\x1b]2;dap: ssh: connection lost, waiting 60 s more\x07\x07")
        screen.type(b"x")
        await screen.until(b"\r\ndap: ssh: the connection was lost: waiting")
        await session.say("hop", code=None)
        await screen.until(b"\x1b[23;2t")
        screen.type(b"\x04")
        code = await screen.ended()

    assert code == 5
    assert b"connected again" in screen.seen
    assert session.attaches == []


@pytest.mark.parametrize("number", [signal.SIGHUP, again(signal.SIGTERM)])
async def test_a_closed_window_ends_the_session(home, number):
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        os.kill(screen.pid, number)
        code = await screen.ended()
        await session.until(lambda: bool(session.closes))

    assert code == 128 + number
    assert session.closes == [1000]


async def test_input_stays_within_its_credit_and_ctrl_c_discards_the_rest(home):
    """A program that does not read: the paste waits here, and neither sizes nor the end wait for it."""
    paste = 6_000_000

    async def program(session):
        await session.write(b"ready")
        await session.until(lambda: b"\x03" in session.typed)
        await session.end(0)

    async with living(program, home.socket, window=WINDOW, lag=None) as session:  # noqa: SIM117
        async with on_a_terminal(home, "shell", "web-0") as screen:
            await screen.until(b"ready")
            os.set_blocking(screen.master, True)
            before = peak(screen.pid)
            await asyncio.to_thread(_type, screen.master, b"x" * paste)
            assert peak(screen.pid) - before < 4_000_000
            screen.resize(90, 30)
            await session.until(lambda: bool(session.sizes))
            await session.until(lambda: len(session.typed) == WINDOW)
            screen.type(b"\x03")
            await until(lambda: not screen.unread)
            session.lag = 0
            await session.acknowledge(len(session.typed))
            code = await screen.ended()

    assert code == 0
    sent = bytes(session.typed)  # a few more windows, where the credit was quicker than the key
    assert sent == b"x" * (len(sent) - 1) + b"\x03"
    assert WINDOW <= len(sent) - 1 <= paste // 4


async def test_a_gateway_that_breaks_the_protocol_is_not_tried_again(home):
    async with living(mirror, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready")
        await session.say("received", offset=99)
        code = await screen.ended()

    assert code == 125
    assert (
        b"dap: gateway: the gateway broke the protocol: it acknowledged input that was never sent"
        in screen.seen
    )
    assert session.attaches == []
