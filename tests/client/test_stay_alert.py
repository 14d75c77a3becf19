"""When a connection is lost and when to try again, on a clock that jumps."""

import asyncio
from dataclasses import dataclass, field

import pytest
from support import virtual_time

from gateway.client import resume
from gateway.client.exit_status import End
from gateway.client.resume import Resume


@dataclass
class Peer:
    """A connection to one that says a word every `speaks` seconds, and answers pings up to `deaf_after`."""

    speaks: float = 1e9
    deaf_after: float = 1e9
    heard: float = 0.0
    pings: list[float] = field(default_factory=list)
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def talk(self):
        while True:
            await asyncio.sleep(self.speaks)
            self.heard = virtual_time.now()

    async def ping(self):
        self.pings.append(virtual_time.now())
        if virtual_time.now() < self.deaf_after:
            self.heard = virtual_time.now() + 0.01

    def abandon(self):
        self.lost.set()


@pytest.fixture
def sleeps(monkeypatch):
    """Has this machine sleep an hour at a moment of the loop's clock, which stands meanwhile."""
    at = []

    def wall():
        now = virtual_time.now()
        return now + 3600 * sum(now > moment for moment in at)

    monkeypatch.setattr(resume.time, "time", wall)
    return at


async def watch(peer, seconds):
    """When it was given up, None if it was not."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(job) for job in (peer.talk(), resume.stay_alert(peer))]
        try:
            async with asyncio.timeout(seconds):
                await peer.lost.wait()
        except TimeoutError:
            return None
        finally:
            for task in tasks:
                task.cancel()
    return virtual_time.now()


def test_silence_is_asked_and_then_the_connection_is_given_up(sleeps):
    async def story():
        peer = Peer(deaf_after=0)
        return await watch(peer, 1000), peer.pings

    lost, pings = virtual_time.run(story())
    assert resume.SILENCE <= lost <= resume.SILENCE + 2 * resume.TICK
    assert len(pings) == 1
    assert pings[0] < lost - resume.PING
    assert lost < 20
    assert not sleeps


def test_who_answers_or_talks_is_not_given_up(sleeps):
    async def story():
        quiet, busy = Peer(), Peer(speaks=0.1, deaf_after=0)
        return await watch(quiet, 1000), await watch(busy, 1000), quiet.pings, busy.pings

    quiet, busy, asked, never = virtual_time.run(story())
    assert (quiet, busy, never) == (None, None, [])
    assert len(asked) > 100
    assert not sleeps


def test_after_a_sleep_it_is_asked_at_once_and_given_little_time(sleeps):
    sleeps.append(100.2)

    async def story():
        peer = Peer(deaf_after=100.0)
        return await watch(peer, 200), peer.pings[-1]

    lost, asked = virtual_time.run(story())
    assert 100.2 < asked <= 100.2 + resume.TICK
    assert asked < lost <= asked + resume.WOKEN + 2 * resume.TICK


def test_a_pause_ends_when_the_machine_wakes(sleeps):
    sleeps.append(1.2)

    async def story():
        await resume.pause(300)
        return virtual_time.now()

    assert virtual_time.run(story()) <= 1.2 + resume.TICK


def test_a_pause_lasts_as_long_as_it_should(sleeps):
    async def story():
        await resume.pause(5)
        return virtual_time.now()

    assert virtual_time.run(story()) == pytest.approx(5)
    assert not sleeps


def test_the_first_attempts_follow_fast():
    delays = resume.delays()

    assert [next(delays) for _ in range(6)] == [0.2, 0.5, 1.0, 2.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("code", "again"),
    [("shutdown", True), ("ssh_unreachable", True), ("ssh_busy", True), ("session_unknown", False),
     ("resume_refused", False), ("killed", False), ("of_a_later_version", False)],
)  # fmt: skip
def test_which_refusals_pass(code, again):
    assert resume.passing(End(code, "gateway", "")) is again


@pytest.mark.parametrize(
    "change",
    [{"window": 0}, {"offset": -1}, {"received": None}, {"secret": None}, {"grace": "soon"}],
)
def test_a_hello_that_cannot_be_is_told(change):
    good = {"secret": "s", "grace": 600, "offset": 0, "received": 0, "window": 1}
    hello = {"type": "hello", "session": "x", "resume": good}

    assert Resume.parse(hello) == Resume("x", "s", 600.0, 0, 0, 1)
    assert Resume.parse({"type": "hello", "session": "x", "resume": None}) is None
    with pytest.raises(resume.GatewayFailed, match="hello"):
        Resume.parse(hello | {"resume": good | change})
