"""Logins in which a person takes part, on a clock of its own."""

import asyncio

import structlog
from support.virtual_time import now, run

from gateway.backends.ssh.attendance import Attendance
from gateway.backends.ssh.pausable_timeout import PausableTimeout

AGENT = "the SSH agent"


async def login(attendance, seconds, ends=None):
    """One login that waits `seconds` for a person."""
    async with attendance.turn() as waiting:
        with waiting(AGENT):
            await asyncio.sleep(seconds)
        if ends is not None:
            ends.append(now())


def test_one_question_at_a_time():
    async def story():
        attendance, ends = Attendance("c", PausableTimeout(now)), []
        await asyncio.gather(*(login(attendance, 30, ends) for _ in range(3)))
        assert ends == [30, 60, 90]
        assert attendance.attended

    run(story())


def test_logins_that_ask_nobody_are_made_side_by_side_behind_the_first():
    async def story():
        attendance, ends = Attendance("c", PausableTimeout(now)), []
        await asyncio.gather(*(login(attendance, 0.5, ends) for _ in range(5)))
        assert ends == [0.5, 1, 1, 1, 1]
        assert not attendance.attended

    run(story())


def test_a_login_that_never_got_so_far_says_nothing_of_people():
    async def story():
        attendance = Attendance("c", PausableTimeout(now))
        await login(attendance, 5)
        async with attendance.turn():
            await asyncio.sleep(30)  # the network
        assert not attendance.attended
        ends = []
        await asyncio.gather(*(login(attendance, 5, ends) for _ in range(2)))
        assert ends == [40, 45]  # still one by one

    run(story())


def test_a_login_that_is_cancelled_leaves_its_turn_to_the_next():
    async def story():
        attendance, ends = Attendance("c", PausableTimeout(now)), []
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(login(attendance, 100, ends))
            tasks.create_task(login(attendance, 5, ends))
            await asyncio.sleep(10)
            first.cancel()
        assert ends == [15]

    run(story())


def test_deadlines_of_sessions_stand_still_and_the_log_says_for_whom():
    async def story():
        patience = PausableTimeout(now)
        attendance = Attendance("prod", patience)
        with structlog.testing.capture_logs() as logs:
            await login(attendance, 2)
            assert logs == []
            await login(attendance, 60)
        assert [(one["event"], one["cluster"], one["waiting_for"]) for one in logs] == [
            ("ssh_login_waits", "prod", AGENT)
        ]
        assert patience.now() == 0

    run(story())
