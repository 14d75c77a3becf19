"""Keys under a flood of output: what drops it, what holds it, and that a transfer is exact."""

import asyncio
import os
from functools import partial

import pytest
from support.dap import on_a_terminal
from support.fake_session import living
from support.waiting import until

FLOOD = 900_000
MARK = b"bytes of output skipped]"


async def flooded(session, times=1):
    """A shell whose prompt comes behind the flood, as that of a program which the key has ended."""
    await session.write(b"ready\r\n")
    for number in range(times):
        if number:
            await asyncio.sleep(1.2)  # what comes before is still the last flood's
            await session.write(b"ready\r\n")
        await session.until(lambda: session.client is not None)
        await session.write(b"y\r\n" * (FLOOD // 3))
        await session.read(1)
        await session.write(b"^ $ ")
    while (key := await session.read(1)) != b"\x04":
        await session.write(b"<" + key + b">")
    await session.end(5)


async def waiting(session, screen):
    """Until the terminal takes no more: as much as there may be waits in dap."""
    await screen.until(b"ready\r\n")
    before = -1
    while before != session.seen:
        before = session.seen
        await asyncio.sleep(0.3)


async def test_interrupt_stop_and_quit_drop_a_flood_behind_one_line(home):
    keys = (b"\x03", b"\x1a", b"\x1c")
    async with (
        living(partial(flooded, times=len(keys)), home.socket, window=1 << 20) as session,
        on_a_terminal(home, "shell", "web-0") as screen,
    ):
        for number, key in enumerate(keys, start=1):
            await waiting(session, screen)
            screen.type(key)
            await session.until(lambda number=number: len(session.typed) == number)
            shown = await screen.until(b"^ $ ")
            assert shown.count(MARK) == 1
            left_out = int(shown.partition(MARK)[0].rpartition(b"[dap: ")[2])
            assert left_out > FLOOD // 2
            assert shown.count(b"y") * 3 + left_out == pytest.approx(FLOOD, abs=10)
        await session.until(lambda: session.seen == len(session.output))
        screen.type(b"\x04")
        assert await screen.ended() == 5


@pytest.mark.parametrize("arguments", [("--exact",), ("--", "receive")])
async def test_a_transfer_is_exact_in_both_directions(home, arguments):
    """These bytes are no keys where the program has its terminal raw."""
    sent = bytes(range(256)) * 500

    async def program(session):
        await session.write(b"ready\r\n" + sent + b"end")
        assert await session.read(len(sent)) == sent
        await session.end(0)

    async with (
        living(program, home.socket, window=16384, exact=True) as session,
        on_a_terminal(home, "shell", "web-0", *arguments) as screen,
    ):
        await screen.until(b"ready\r\n")
        os.set_blocking(screen.master, True)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(_type, screen.master, sent))
            shown = await screen.until(b"end")
        code = await screen.ended()

    assert (code, session.outcome) == (0, 0)
    assert shown[:-3] == sent


def _type(fd, data):
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest[:777]) :]


async def test_ctrl_s_holds_a_flood_until_the_next_key_and_drops_nothing(home):
    async with (
        living(flooded, home.socket, window=1 << 20) as session,
        on_a_terminal(home, "shell", "web-0") as screen,
    ):
        await waiting(session, screen)
        screen.type(b"\x13")
        await session.until(lambda: bool(session.typed))
        await asyncio.sleep(0.2)
        shown = await drawn(screen)
        screen.type(b"\x1b[O")  # the terminal has lost the focus: no key
        assert await drawn(screen) == b""
        screen.type(b"x")
        shown += await screen.until(b"^ $ ")
        screen.type(b"\x04")
        assert await screen.ended() == 5

    assert MARK not in shown
    assert shown.count(b"y") == FLOOD // 3


async def test_ctrl_s_where_little_waits_is_the_program_s(home):
    """In emacs it searches, and what the search draws is to be seen."""

    async def program(session):
        await session.write(b"ready\r\n")
        while (key := await session.read(1)) != b"\x04":
            await session.write(b"." * 1000 + b"<" + key + b">")
        await session.end(5)

    async with living(program, home.socket), on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready\r\n")
        screen.type(b"\x13")
        await screen.until(b"<\x13>")
        screen.type(b"\x04")
        assert await screen.ended() == 5


async def test_a_flood_that_comes_within_a_second_of_ctrl_s_is_held_too(home):
    """What waits at another hop has not come when the key is pressed."""

    async def program(session):
        await session.write(b"ready\r\n")
        await session.read(1)
        await session.write(b"y\r\n" * (FLOOD // 3) + b"$ ")
        await session.read(1)
        await session.end(5)

    async with living(program, home.socket, window=1 << 20), on_a_terminal(home, "shell", "web-0") as screen:
        await screen.until(b"ready\r\n")
        screen.type(b"\x13")
        await until(lambda: screen.unread == 0)
        shown = await drawn(screen)
        assert len(shown) < 200_000
        screen.type(b"x")
        shown += await screen.until(b"$ ")
        assert await screen.ended() == 5

    assert shown.count(b"y") == FLOOD // 3


async def drawn(screen):
    """What is drawn until nothing is for half a second."""
    shown = b""
    while True:
        try:
            async with asyncio.timeout(0.5):
                shown += await screen._read()
        except TimeoutError:
            return shown
