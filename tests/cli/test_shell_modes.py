"""What a program has set on the terminal is undone when its session goes without it, and set where the session goes on."""

import asyncio
import os
import signal

import pytest
from support.dap import on_a_terminal
from support.fake_gateway import fake_gateway
from support.fake_session import NAME, living
from support.repeated import again

from gateway.protocol.outcome import Outcome

SET = b"\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?1000;1006h\x1b[?25l\x1b[31mscreen"
UNDONE = b"\x1b[?1049l\x1b[?1l\x1b>\x1b[?2004l\x1b[?1000l\x1b[?1006l\x1b[?25h\x1b[m"


def at_the_end(screen):
    """What came behind the program's last word, up to our own line."""
    return screen.seen.partition(b"screen")[2].partition(b"\r\ndap: ")[0]


def full_screen(end):
    async def script(client):
        await client.hello()
        await client.out(SET)
        await end(client)

    return script


async def lost(client):
    client.connection.transport.abort()


async def killed(client):
    await client.end(Outcome("killed", "ended by me"))


async def taken_over(client):
    await client.end(Outcome("taken_over"))


async def hop_lost(client):
    await client.end(Outcome("ssh_lost", "the connection was lost"))


@pytest.mark.parametrize("end", [lost, again(killed), taken_over, again(hop_lost)])
async def test_it_is_undone_in_whatever_way_the_session_goes(home, end):
    async with (
        fake_gateway(full_screen(end), home.socket),
        on_a_terminal(home, "shell", "web-0") as screen,
    ):
        code = await screen.ended()

    assert code == 125
    assert at_the_end(screen) == UNDONE
    assert screen.restored


async def test_a_command_that_ended_by_itself_is_left_alone(home):
    async def ended(client):
        await client.end(0)

    async with (
        fake_gateway(full_screen(ended), home.socket),
        on_a_terminal(home, "shell", "web-0") as screen,
    ):
        code = await screen.ended()

    assert code == 0
    assert screen.seen == SET


async def test_a_program_that_has_tidied_up_leaves_nothing_to_undo(home):
    async def tidy(client):
        await client.out(UNDONE)
        await lost(client)

    async with (
        fake_gateway(full_screen(tidy), home.socket),
        on_a_terminal(home, "shell", "web-0") as screen,
    ):
        await screen.ended()

    assert at_the_end(screen) == UNDONE


@pytest.mark.parametrize("number", [again(signal.SIGTERM), again(signal.SIGHUP), signal.SIGQUIT])
async def test_a_signal_undoes_it(home, number):
    async def wait(client):
        await client.receive()

    async with (
        fake_gateway(full_screen(wait), home.socket),
        on_a_terminal(home, "shell", "web-0") as screen,
    ):
        await screen.until(b"screen")
        os.kill(screen.pid, number)
        code = await screen.ended()

    assert code == 128 + number
    assert screen.seen == UNDONE
    assert screen.restored


async def test_a_terminal_without_our_keys_is_tidied_too(home):
    async with (
        fake_gateway(full_screen(lost), home.socket),
        on_a_terminal(home, "exec", "-t", "web-0", "--", "watch", "date") as screen,
    ):
        await screen.ended()

    assert UNDONE in screen.seen


async def test_giving_up_undoes_it_below_the_notice(home):
    async def program(session):
        await session.write(SET)
        await asyncio.Event().wait()

    async with living(program, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"screen")
        session.refusals = [Outcome("shutdown")] * 100
        session.cut()
        await screen.until(b"connection lost")
        screen.type(b"x")
        await screen.until(b"gives up\r\n")
        screen.type(b"\x03")
        code = await screen.ended()

    assert code == 130
    assert UNDONE in screen.seen.partition(b"\r\ndap: ")[0]


async def test_who_takes_over_gets_the_modes_before_the_rest_and_undoes_them_too(home):
    """The second one has seen none of what set them."""

    async def program(session):
        await session.write(b"screen")
        await asyncio.Event().wait()

    async with living(program, home.socket) as session, on_a_terminal(home, "shell", "web-0") as first:
        await first.until(b"screen")
        session.modes = "\x1b[?1049h\x1b[?1h"
        async with on_a_terminal(home, "attach", NAME) as second:
            shown = await second.until(b"screen")
            await session.until(lambda: session.seen == len(b"screen"))
            await session.end(Outcome("killed", "enough"))
            await second.ended()

    assert shown == b"\x1b[?1049h\x1b[?1hscreen"
    assert second.seen.partition(b"\r\ndap: ")[0] == b"\x1b[?1049l\x1b[?1l"


async def test_where_output_was_lost_the_modes_are_those_behind_it(home):
    async def program(session):
        await session.write(b"\x1b[?1049h\x1b[?25lscreen")
        await asyncio.Event().wait()

    async with living(program, home.socket) as session, on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"screen")
        session.refusals, session.modes = [Outcome("offset_gone")], "\x1b[?2004h"
        session.cut()
        session.output += b"." * 70000
        shown = await screen.until(b"." * 65536)
        os.kill(screen.pid, signal.SIGTERM)
        await screen.ended()

    assert b"skipped]\x1b[0m\r\n\x1b[?1049l\x1b[?25h\x1b[?2004h" in shown
    assert screen.seen.strip(b".") == b"\x1b[?2004l"
