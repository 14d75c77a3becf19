"""When a terminal is warned and when it ends, on a clock of its own."""

import asyncio
from dataclasses import replace

import pytest
from support.channel import OUT, Script, ScriptedBackend
from support.virtual_time import now, run

from gateway.access.identity import Identity
from gateway.protocol.outcome import ended
from gateway.protocol.target import Command, Target
from gateway.sessions.lifetime import AHEAD, Lifetime
from gateway.sessions.session import Session
from gateway.settings.config import Limits

NEVER = 1e6
SHELL = Command(("sh",), stdin=True, stdout=True, tty=True)


async def told(lifetime: Lifetime, *touches: float):
    """Plays the touches (seconds); [(when, code or None)], the outcome's code, and when that was."""
    said = []

    def changed():
        said.append((round(now()), lifetime.warning.code if lifetime.warning else None))

    for at in touches:
        asyncio.get_running_loop().call_later(at, lifetime.touch)
    outcome = await lifetime.run(changed)
    return said, outcome.code, round(now())


@pytest.mark.parametrize(
    ("limits", "touches", "expected"),
    [
        ((600, 0), (), ([(540, "idle")], "idle_timeout", 600)),
        ((0, 600), (), ([(540, "max_age")], "max_age", 600)),
        ((600, 0), (100, 500), ([(1040, "idle")], "idle_timeout", 1100)),
        ((600, 0), (550,), ([(540, "idle"), (550, None), (1090, "idle")], "idle_timeout", 1150)),
        ((600, 0), (599.9,), ([(540, "idle"), (600, None), (1140, "idle")], "idle_timeout", 1200)),
        ((0, 600), (550, 599), ([(540, "max_age")], "max_age", 600)),
        ((600, 630), (560,), ([(540, "idle"), (560, None), (570, "max_age")], "max_age", 630)),
        ((600, 610), (560,), ([(540, "idle"), (560, "max_age")], "max_age", 610)),
        ((30, 0), (20,), ([(15, "idle"), (20, None), (35, "idle")], "idle_timeout", 50)),
        ((0, 1), (), ([(0, "max_age")], "max_age", 1)),
    ],
)
def test_the_story_of(limits, touches, expected):
    async def story():
        return await told(Lifetime(*limits), *touches)

    assert run(story()) == expected


def test_seconds_that_are_left():
    async def story():
        lifetime, left = Lifetime(600), []
        loop = asyncio.get_running_loop()
        for at in (1, 541, 570, 599.9):
            loop.call_later(at, lambda: left.append(lifetime.left()))
        await lifetime.run(lambda: left.append(lifetime.left()))
        return left

    assert run(story()) == [0, AHEAD, 59, 30, 0]


def session_of(script: Script, command: Command = SHELL, **limits: float) -> Session:
    return Session(
        "s", Identity("me", "token"), Target("default", "ns", "pod"), command,
        ScriptedBackend(script), replace(Limits(), **limits),
    )  # fmt: skip


def test_output_and_input_keep_a_terminal_alive():
    """Input until 500, output until 1500; then nothing."""

    async def story():
        script = Script([1000, (OUT, b"a"), 500, (OUT, b"b"), NEVER])
        session = session_of(script, idle=600)

        async def types():
            for _ in range(5):
                await asyncio.sleep(100)
                await session.write(b"x")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(types())
            outcome = await session.run()
        assert (outcome.code, now(), script.left) == ("idle_timeout", 2100, 1)
        assert "600 s" in outcome.message

    run(story())


def test_sizes_and_an_end_of_input_are_no_input():
    async def story():
        session = session_of(Script([NEVER]), idle=600)
        asyncio.get_running_loop().call_later(500, session.write_eof)
        assert (await session.run()).code == "idle_timeout"
        assert now() == 600

    run(story())


def test_a_flood_does_not_put_off_the_age():
    async def story():
        session = session_of(Script([*[(OUT, b"x"), 1] * 2000, NEVER]), idle=60, max_age=600)
        assert (await session.run()).code == "max_age"
        assert now() == 600

    run(story())


def test_without_a_terminal_there_is_no_limit():
    async def story():
        session = session_of(Script([1e5, ended(0)]), replace(SHELL, tty=False), idle=60, max_age=60)
        assert await session.run() == ended(0)

    run(story())


def test_a_session_that_ends_by_itself_leaves_no_clock():
    """`run` of the virtual clock finds tasks that are left."""

    async def story():
        session = session_of(Script([1, ended(3)]), idle=60, max_age=60)
        assert await session.run() == ended(3)
        assert now() == 1

    run(story())


def test_watchers_hear_of_a_warning():
    async def story():
        session, heard = session_of(Script([NEVER]), idle=600), []

        async def watch():
            with session.watching() as changed:
                while session.outcome is None:
                    changed.clear()
                    heard.append((round(now()), bool(session.lifetime.warning)))
                    await changed.wait()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch())
            await session.run()
        assert (540, True) in heard

    run(story())
