"""Which connection gets a channel, on a clock of its own."""

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest
from support.virtual_time import now, run

from gateway.backends.ssh.channel_capacity import GROW
from gateway.backends.ssh.login_throttle import DIALS, PAUSE, REFUSALS
from gateway.backends.ssh.pausable_timeout import PausableTimeout
from gateway.backends.ssh.pool import IDLE, Pool
from gateway.errors import HopFailed


class Connection:
    def __init__(self, room: int) -> None:
        self.channels = 0
        self.room = room
        self.opened = 0
        self.lost = asyncio.Event()
        self.closed = False
        self.most = 0
        self.answers = asyncio.Event()  # to pings
        self.answers.set()

    def close(self) -> None:
        self.closed = True
        asyncio.get_running_loop().call_soon(self.lost.set)

    async def wait_closed(self) -> None:
        await self.lost.wait()

    async def wait_answer(self) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self.answers, self.lost)]  # noqa: TID251  # end here
        await asyncio.wait(waits, return_when="FIRST_COMPLETED")
        for wait in waits:
            wait.cancel()


class Host:
    """Takes `seconds` for a login; `answers` are what the next ones end with, None for a connection."""

    def __init__(self, seconds: float = 0.5, room: int = 8) -> None:
        self.seconds = seconds
        self.room = room
        self.answers: list[Exception | None] = []
        self.made: list[Connection] = []
        self.logins = 0
        self.at_once = self.most_at_once = 0
        self.times: list[float] = []

    async def dial(self) -> Connection:
        self.logins += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.times.append(now())
        try:
            await asyncio.sleep(self.seconds)
            if (error := self.answers.pop(0) if self.answers else None) is not None:
                raise error
        finally:
            self.at_once -= 1
        self.made.append(Connection(self.room))
        return self.made[-1]


REFUSED = HopFailed("ssh_refused", "u@h refused the login")
DOWN = HopFailed("ssh_unreachable", "h did not answer")


@asynccontextmanager
async def pool_of(host: Host):
    """A pool on the virtual clock; at its end everything it opened is closed."""
    pool = Pool(host.dial, clock=now)
    async with pool.running():
        yield pool
    assert all(connection.lost.is_set() for connection in host.made)
    assert pool.counts() | {"breaker_open": 0, "breaker_seconds": 0} == dict.fromkeys(pool.counts(), 0)


async def use(pool: Pool, seconds: float = 0.0) -> Connection:
    async with pool.connection() as connection:
        assert connection.channels <= connection.room
        connection.most = max(connection.most, connection.channels)
        await asyncio.sleep(seconds)
        return connection


def test_one_is_kept_warm():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            await asyncio.sleep(1)
            assert pool.counts()["connections"] == 1
            before = now()
            await use(pool)
            assert now() == before
            assert host.logins == 1

    run(story())


def test_the_first_waits_for_the_login_that_is_under_way():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            await asyncio.gather(*(use(pool, 1) for _ in range(8)))
            assert host.logins == 1
            assert host.made[0].most == 8

    run(story())


def test_the_ninth_gets_another_connection():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            await asyncio.sleep(1)
            await asyncio.gather(*(use(pool, 1) for _ in range(9)))
            assert [connection.most for connection in host.made] == [8, 1]
            assert all(connection.channels == 0 for connection in host.made)

    run(story())


@pytest.mark.parametrize("seconds", [0.0, 0.5])
@pytest.mark.parametrize("room", [1, 3, 8])
def test_300_at_once_are_all_served(room, seconds):
    """Also where logins end in the same moment, and where a session stays for ever."""

    async def story():
        host = Host(seconds, room)
        async with pool_of(host) as pool:
            async with asyncio.TaskGroup() as tasks:
                users = [tasks.create_task(use(pool, 1000)) for _ in range(300)]
                await asyncio.sleep(900)
                assert pool.counts()["channels"] == 300
                assert pool.counts()["waiting"] == 0
            assert all(user.done() for user in users)
            assert host.most_at_once <= DIALS
            assert len(host.made) == -(-300 // room)
            assert all(connection.most == min(room, 8) for connection in host.made[:-1])

    run(story())


def test_a_slow_login_does_not_hold_up_the_others():
    async def story():
        host = Host(1)
        delays = iter([100, *[1] * 50])
        quick = host.dial

        async def dial():
            host.seconds = next(delays)
            return await quick()

        pool = Pool(dial, clock=now)
        async with pool.running(), asyncio.TaskGroup() as tasks:
            for _ in range(100):
                tasks.create_task(use(pool, 500))
            await asyncio.sleep(20)
            assert pool.counts()["channels"] >= 92

    run(story())


def test_a_login_that_fails_fails_all_who_wait_for_it():
    async def story():
        host = Host()
        host.answers = [DOWN] * DIALS
        async with pool_of(host) as pool:
            found = await asyncio.gather(*(use(pool) for _ in range(40)), return_exceptions=True)
            assert {type(error) for error in found} == {HopFailed}
            assert {error.code for error in found} == {"ssh_unreachable"}
            assert await use(pool)  # and the next is served

    run(story())


def test_one_login_of_several_is_enough():
    async def story():
        host = Host()
        host.answers = [DOWN, DOWN, None, DOWN]
        async with pool_of(host) as pool:
            await asyncio.gather(*(use(pool, 1) for _ in range(40)))
            assert host.made[0].most == 8

    run(story())


def test_a_defect_in_a_login_is_an_error_of_those_who_wait():
    async def story():
        host = Host()
        host.answers = [ZeroDivisionError("oops")]
        async with pool_of(host) as pool:
            with pytest.raises(HopFailed, match="ZeroDivisionError: oops") as failed:
                await use(pool)
            assert failed.value.code == "gateway_error"
            assert await use(pool)

    run(story())


async def refuse(pool: Pool, host: Host) -> int:
    """Uses the pool until no login is tried any more; how many there were."""
    before = host.logins
    for _ in range(REFUSALS + 2):
        with pytest.raises(HopFailed) as failed:
            await use(pool)
        assert failed.value.code == "ssh_refused"
    return host.logins - before


def test_refusals_open_the_breaker_and_a_pause_closes_it():
    async def story():
        host = Host()
        host.answers = [REFUSED] * REFUSALS
        async with pool_of(host) as pool:
            assert await refuse(pool, host) == REFUSALS
            assert pool.counts()["breaker_open"] == 1
            with pytest.raises(HopFailed, match=r"refused the login; no further login for \d+ s after 3"):
                await use(pool)
            await asyncio.sleep(PAUSE + 1)
            assert pool.counts()["breaker_open"] == 0
            assert await use(pool)
            assert host.logins <= REFUSALS + 2
            host.made[0].close()
            await asyncio.sleep(0.01)
            host.answers = [REFUSED]
            with pytest.raises(HopFailed):
                await use(pool)
            assert pool.counts()["breaker_open"] == 0  # a success has cleared the count

    run(story())


def test_after_the_pause_one_more_refusal_opens_it_again():
    async def story():
        host = Host()
        host.answers = [REFUSED] * 100
        async with pool_of(host) as pool:
            await refuse(pool, host)
            await asyncio.sleep(PAUSE + 1)
            before = host.logins
            with pytest.raises(HopFailed):
                await use(pool)
            assert host.logins - before <= 1
            assert pool.counts()["breaker_open"] == 1

    run(story())


def test_being_down_opens_no_breaker():
    async def story():
        host = Host()
        host.answers = [DOWN] * 10
        async with pool_of(host) as pool:
            for _ in range(10):
                with pytest.raises(HopFailed):
                    await use(pool)
            assert pool.counts()["breaker_open"] == 0
            assert await use(pool)

    run(story())


def test_the_keeper_tries_less_and_less_often():
    async def story():
        host = Host(0.0)
        host.answers = [DOWN] * 12
        async with pool_of(host) as pool:
            await asyncio.sleep(200)
            gaps = [b - a for a, b in zip(host.times, host.times[1:], strict=False)]
            assert gaps[:8] == [1, 2, 5, 10, 15, 15, 15, 15]
            assert pool.counts()["connections"] == 1
            assert host.logins == 13

    run(story())


def test_the_keeper_is_quiet_while_the_breaker_is_open():
    async def story():
        host = Host(0.0)
        host.answers = [REFUSED] * 100
        async with pool_of(host):
            await asyncio.sleep(PAUSE)
            assert host.logins == REFUSALS
            await asyncio.sleep(10 * PAUSE)
            assert host.logins <= REFUSALS + 10

    run(story())


def test_a_lost_connection_is_replaced():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            first = await use(pool)
            first.close()
            await asyncio.sleep(1)
            assert host.logins == 2
            assert await use(pool) is host.made[1]

    run(story())


def test_what_is_lost_is_closed_with_all_that_it_went_through():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            first = await use(pool)
            first.lost.set()
            assert await use(pool) is not first
            assert first.closed

    run(story())


def test_one_that_is_lost_while_in_use_is_left_and_its_users_may_leave():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            async with pool.connection() as first:
                first.close()
                await asyncio.sleep(0.01)
                assert await use(pool) is not first
            assert first.channels == 0

    run(story())


def test_a_waiter_that_is_cancelled_passes_its_turn_on():
    async def story():
        host = Host(5, room=1)
        async with pool_of(host) as pool:
            await asyncio.sleep(6)
            async with asyncio.TaskGroup() as tasks:
                async with pool.connection():
                    waiting = [tasks.create_task(use(pool)) for _ in range(3)]
                    await asyncio.sleep(0)
                    assert pool.counts()["waiting"] == 3
                # the first has been given the turn and has not run yet
                waiting[0].cancel()
                await asyncio.sleep(0.1)
                assert [task.done() for task in waiting] == [True, True, True]
            assert waiting[0].cancelled()
            assert pool.counts()["waiting"] == 0

    run(story())


def test_any_number_may_be_cancelled_while_they_wait():
    async def story():
        host = Host(5)
        async with pool_of(host) as pool:
            async with asyncio.TaskGroup() as tasks:
                waiting = [tasks.create_task(use(pool)) for _ in range(20)]
                await asyncio.sleep(1)
                for task in waiting[::2]:
                    task.cancel()
            assert pool.counts()["waiting"] == pool.counts()["channels"] == 0
            assert sum(task.cancelled() for task in waiting) == 10

    run(story())


def test_a_failure_and_a_cancellation_at_once_leave_no_word():
    """An exception that nobody fetches would be logged when it is collected."""

    async def story():
        said = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        users: list[asyncio.Task] = []

        async def dial():
            await asyncio.sleep(1)
            asyncio.get_running_loop().call_soon(users[0].cancel)  # runs before the waiter does
            raise DOWN

        pool = Pool(dial, clock=now)
        async with pool.running(), asyncio.TaskGroup() as tasks:
            users.append(task := tasks.create_task(use(pool)))
            await asyncio.sleep(1.5)
        assert task.cancelled()
        assert said == []

    run(story())


def test_unused_connections_are_closed_but_one():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            await asyncio.gather(*(use(pool, 1) for _ in range(30)))
            assert pool.counts()["connections"] == 4
            await asyncio.sleep(IDLE - 15)
            assert pool.counts()["connections"] == 4
            await asyncio.sleep(60)
            assert pool.counts()["connections"] == 1
            assert await use(pool) is host.made[0]

    run(story())


def test_those_in_use_stay_and_the_time_counts_from_the_last_use():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(7):
                    tasks.create_task(use(pool, 130))
                for _ in range(4):
                    tasks.create_task(use(pool, 1))
                await asyncio.sleep(50)
                second = host.made[1]
                for _ in range(2):  # one on the first connection, one on the second
                    tasks.create_task(use(pool, 0.5))
                await asyncio.sleep(30)
                assert not second.lost.is_set()
                await asyncio.sleep(55)
                assert second.lost.is_set()
            assert not host.made[0].lost.is_set()

    run(story())


def test_the_end_ends_logins_and_those_who_wait_for_them():
    async def story():
        host = Host(1000)
        pool = Pool(host.dial, clock=now)
        told = []

        async def wait():
            try:
                await use(pool)
            except HopFailed as error:
                told.append(error.code)

        async with asyncio.TaskGroup() as tasks, pool.running():
            tasks.create_task(wait())
            await asyncio.sleep(1)
        assert (told, now()) == (["shutdown"], 1)

    run(story())


@pytest.mark.parametrize("steps", range(6))
def test_the_end_comes_however_long_ago_a_connection_was_lost(steps):
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            connection = await use(pool)
            await asyncio.sleep(1)
            connection.lost.set()
            for _ in range(steps):
                await asyncio.sleep(0)
        assert now() < 5

    run(story())


def test_a_connection_without_room_is_closed_after_its_last_channel():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            async with pool.connection() as first:
                first.room = 0
                assert await use(pool) is not first
                assert not first.lost.is_set()
            await asyncio.sleep(0.01)
            assert first.lost.is_set()
            assert await use(pool) is not first

    run(story())


# a host with less room than ours


BUSY = HopFailed("ssh_busy", "open failed")
AWAY = HopFailed("ssh_busy", "Exceeded MaxStartups")


class Tight(Host):
    """Opens no more than `sessions` channels on a connection; `refused`: how many it did not open."""

    def __init__(self, sessions: int, **more: float) -> None:
        super().__init__(**more)
        self.sessions = sessions
        self.held = 0  # sessions that have ended for us
        self.refused = 0

    async def use(self, pool: Pool, seconds: float) -> Connection:
        """As the host's chains do it."""
        again = False
        while True:
            async with pool.connection(first=again) as connection:
                await asyncio.sleep(0.01)
                if connection.opened + self.held >= self.sessions:
                    self.refused += 1
                    again = True
                    pool.channel_refused(connection, BUSY)
                    continue
                connection.opened += 1
                try:
                    pool.channel_opened(connection)
                    await asyncio.sleep(seconds)
                    return connection
                finally:
                    connection.opened -= 1


def test_what_a_host_does_not_open_is_learned_once():
    async def story():
        host = Tight(2, seconds=0.1)
        async with pool_of(host) as pool:
            await asyncio.sleep(1)
            await asyncio.gather(*(host.use(pool, 10) for _ in range(60)))
            assert len(host.made) == 30
            assert host.refused == 6

    run(story())


def test_room_grows_again():
    """The host took few for a moment only."""

    async def story():
        host = Tight(2, seconds=0.1)
        async with pool_of(host) as pool:
            await asyncio.gather(*(host.use(pool, 1) for _ in range(8)))
            assert host.made[0].room == 2
            host.sessions = 10
            for _ in range(6):
                await asyncio.sleep(GROW)
                await asyncio.gather(*(host.use(pool, 1) for _ in range(8)))
            assert host.made[0].room == 8
            before = len(host.made)
            await asyncio.sleep(2 * IDLE)
            await asyncio.gather(*(host.use(pool, 1) for _ in range(16)))
            assert len(host.made) == before + 1, "a new connection has all of its room"

    run(story())


def test_a_host_that_stays_tight_is_tried_now_and_then():
    async def story():
        host = Tight(2, seconds=0.1)
        async with pool_of(host) as pool:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(4):
                    tasks.create_task(host.use(pool, 1000))
                await asyncio.sleep(5)
                before = host.refused
                for _ in range(20):
                    await host.use(pool, 1)
            assert host.refused - before <= 20 / GROW * 3

    run(story())


def test_a_place_that_the_host_still_holds_is_waited_for():
    """It opened two before: that it does not now is no reason to have fewer for good."""

    async def story():
        host = Tight(2, seconds=0.1)
        async with pool_of(host) as pool:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(2):
                    tasks.create_task(host.use(pool, 5))
                await asyncio.sleep(6)
                host.held = 1
                tasks.create_task(host.use(pool, 5))
                tasks.create_task(host.use(pool, 5))
                await asyncio.sleep(0.05)
                host.held = 0
            assert host.refused == 1
            assert host.made[0].room >= 2

    run(story())


def test_a_host_without_any_room_gets_pauses():
    async def story():
        host = Tight(0, seconds=0.1)
        async with pool_of(host) as pool:
            task = asyncio.get_running_loop().create_task(host.use(pool, 1))
            await asyncio.sleep(60)
            assert host.logins < 30
            host.sessions = 1
            assert await task

    run(story())


# a host that turns logins away


def test_logins_that_are_turned_away_are_tried_again_for_those_who_wait():
    async def story():
        host = Host(0.1)
        host.answers = [AWAY] * 12
        async with pool_of(host) as pool:
            await asyncio.gather(*(use(pool, 1) for _ in range(30)))
            assert len(host.made) == 4

    run(story())


def test_one_at_a_time_where_more_are_turned_away():
    """MaxStartups 1: the others of a batch fail, and nobody hears of it."""

    async def story():
        host = Host(0.1)
        made, under_way = host.dial, 0

        async def dial():
            nonlocal under_way
            if under_way:
                await asyncio.sleep(0.01)
                raise AWAY
            under_way += 1
            try:
                return await made()
            finally:
                under_way -= 1

        pool = Pool(dial, clock=now)
        async with pool.running():
            await asyncio.gather(*(use(pool, 100) for _ in range(100)))
            assert len(host.made) == 13

    run(story())


def test_waiting_has_an_end():
    async def story():
        host = Host(0.1)
        host.answers = [AWAY] * 1000
        async with pool_of(host) as pool:
            with pytest.raises(HopFailed, match="in time, and 0 more wait: Exceeded MaxStartups") as late:
                async with pool.connection(now() + 30):
                    pass
            assert (late.value.code, round(now())) == ("ssh_busy", 30)
            assert host.logins < 30

    run(story())


def test_waiting_for_room_has_an_end_too():
    async def story():
        host = Host(room=1)
        async with pool_of(host) as pool, pool.connection():
            host.answers = [DOWN] * 1000
            with pytest.raises(HopFailed, match="h did not answer") as late:
                async with pool.connection(now() + 30):
                    pass
            assert (late.value.code, round(now())) == ("ssh_busy", 30)

    run(story())


def test_a_host_that_is_down_is_waited_for_while_a_connection_lives():
    async def story():
        host = Host(0.1, room=1)
        async with pool_of(host) as pool, pool.connection():
            host.answers = [DOWN] * 4
            assert await use(pool)

    run(story())


def test_who_came_first_is_served_first():
    async def story():
        host, served = Host(0.1, room=1), []
        async with pool_of(host) as pool:
            await asyncio.sleep(1)

            async def one(number):
                async with pool.connection():
                    served.append(number)
                    await asyncio.sleep(1)

            host.answers = [AWAY] * 1000
            async with asyncio.TaskGroup() as tasks:
                for number in range(20):
                    tasks.create_task(one(number))
                    await asyncio.sleep(0.3)
        assert served == list(range(20))

    run(story())


def test_a_clock_that_stands_still_while_somebody_is_asked():
    """A passphrase may take longer than anybody waits for a host."""

    async def story():
        patience = PausableTimeout(now)
        host = Host()

        async def dial():
            with patience.standing():
                await asyncio.sleep(500)
            return await host.dial()

        pool = Pool(dial, now, patience.now)
        async with pool.running():
            async with pool.connection(patience.now() + 1) as connection:
                assert connection.channels == 1
            assert 500 < now() < 502
            assert patience.now() < 2

    run(story())


def test_two_who_are_asked_at_once_stop_the_clock_once():
    async def story():
        patience = PausableTimeout(now)

        async def asked(seconds):
            with patience.standing():
                await asyncio.sleep(seconds)

        await asyncio.sleep(1)
        await asyncio.gather(asked(5), asked(9))
        await asyncio.sleep(1)
        assert (now(), patience.now()) == (11, 2)

    run(story())


def test_a_person_who_was_asked_in_vain_is_not_asked_again_for_a_while():
    """Neither by what keeps a connection warm, nor by a session: longer each time, ten minutes at most."""

    async def story():
        host = Host(seconds=120)
        host.answers = [HopFailed("ssh_unconfirmed", "nobody confirmed")] * 6
        pool = Pool(host.dial, now, attended=lambda: True)
        async with pool.running():
            with pytest.raises(HopFailed, match="nobody confirmed"):
                async with pool.connection():
                    pass
            with pytest.raises(HopFailed, match="no further login for 60 s since somebody was asked in vain"):
                async with pool.connection():
                    pass
            await asyncio.sleep(5000)
        waits = [later - earlier - 120 for earlier, later in itertools.pairwise(host.times)]
        assert [round(wait) for wait in waits] == [60, 120, 240, 480, 600, 600]

    run(story())


def test_the_end_comes_while_the_last_users_give_their_connections_back():
    async def story():
        host = Host(room=1)
        async with asyncio.TaskGroup() as tasks, pool_of(host) as pool:

            async def user():
                async with pool.connection() as connection:
                    await connection.lost.wait()

            users = [tasks.create_task(user()) for _ in range(3)]
            await asyncio.sleep(5)
            assert len(host.made) == len(users)

    run(story())


# after a sleep of this machine


def test_after_a_sleep_the_keeper_tries_at_once_and_begins_with_short_pauses():
    async def story():
        host = Host(0.0)
        host.answers = [DOWN] * 8
        async with pool_of(host) as pool:
            await asyncio.sleep(33.5)  # in a pause of 15 s
            before = host.logins
            pool.wake()
            await asyncio.sleep(0.1)
            assert host.logins == before + 1
            await asyncio.sleep(1)
            assert host.logins == before + 2

    run(story())


def test_after_a_sleep_the_breaker_is_closed_and_one_refusal_opens_it_again():
    async def story():
        host = Host(0.0)
        host.answers = [REFUSED] * 4
        async with pool_of(host) as pool:
            await refuse(pool, host)
            assert pool.counts()["breaker_open"] == 1
            pool.wake()
            assert pool.counts()["breaker_open"] == 0
            with pytest.raises(HopFailed, match=r"refused the login$"):
                await use(pool)
            assert pool.counts()["breaker_open"] == 1
            pool.wake()
            assert await use(pool)

    run(story())


@pytest.mark.parametrize("waiting", [False, True])
def test_a_login_from_before_a_sleep_begins_anew(waiting):
    """It waits for a connection that nobody has any more, for as long as a person may take."""

    async def story():
        host = Host(1000)
        async with pool_of(host) as pool, asyncio.TaskGroup() as tasks:
            user = tasks.create_task(use(pool) if waiting else asyncio.sleep(6))
            await asyncio.sleep(5)
            host.seconds = 0.5
            pool.wake()
            await asyncio.sleep(0.6)
            assert host.made
            assert host.times[1:] == [5]
            assert host.at_once == 0
            await user

    run(story())


def test_after_a_sleep_a_connection_gets_no_channel_before_it_has_answered():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            old = await use(pool)
            old.answers.clear()
            pool.wake()
            fresh = await use(pool)
            assert fresh is not old
            assert now() == 1.0
            old.answers.set()
            await asyncio.sleep(0.01)
            assert await use(pool) is old

    run(story())


def test_a_connection_that_never_answers_after_a_sleep_keeps_nobody_waiting_and_no_end_back():
    async def story():
        host = Host()
        async with pool_of(host) as pool:
            old = await use(pool)
            old.answers.clear()
            pool.wake()
            pool.wake()
            assert await use(pool) is not old
            old.lost.set()
            await asyncio.sleep(0.01)
            assert not pool.has(old)
            (await use(pool)).answers.clear()
            pool.wake()

    run(story())
