"""A sleep of the machine: the wall clock has gone on, the monotonic clock has stood still."""

import asyncio
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs
from support import virtual_time
from support.slept import Clocks

from gateway.backends.after_sleep import LEASE, explain, explain_error
from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop, Outcome, ended
from gateway.sleep_watch import AHEAD, LOOK, RECENT, SleepWatch


@contextmanager
def looking(watch):
    """Runs the watch in a task."""
    task = asyncio.ensure_future(watch.run())  # noqa: TID251  # cancelled below
    try:
        yield
    finally:
        task.cancel()


def test_a_sleep_is_told_within_a_second_and_once():
    async def story():
        clocks, told = Clocks(virtual_time.now), []
        watch = SleepWatch(clocks.monotonic, clocks.wall)
        with looking(watch), watch.telling(lambda: told.append(virtual_time.now())), capture_logs() as logs:
            await asyncio.sleep(100.5)
            assert told == []
            clocks.sleep(3600)
            await asyncio.sleep(LOOK)
            assert told == [101]
            await asyncio.sleep(1000)
            assert told == [101]
        assert logs == [{"event": "machine_slept", "log_level": "info", "seconds": 3600}]
        clocks.sleep(3600)
        watch.tell()
        assert told == [101], "a subscriber that has left"

    virtual_time.run(story())


@pytest.mark.parametrize(
    ("steps", "count"),
    [
        ([AHEAD - 0.1], 0),
        ([AHEAD], 1),
        ([-7200, 3600], 1),
        ([-3600], 0),
        ([5, 5, 5], 0),
        ([20, 20], 2),
    ],
    ids=["short", "long", "set back and slept", "set back", "many short", "twice"],
)
def test_only_what_the_wall_clock_gains_in_one_look_is_a_sleep(steps, count):
    async def story():
        clocks, told = Clocks(virtual_time.now), []
        watch = SleepWatch(clocks.monotonic, clocks.wall)
        with looking(watch), watch.telling(lambda: told.append(1)):
            for step in steps:
                clocks.sleep(step)
                await asyncio.sleep(2 * LOOK)
        assert len(told) == count

    virtual_time.run(story())


def test_who_asks_before_the_next_look_hears_of_the_sleep_and_the_next_look_tells_the_others():
    clocks, told = Clocks(lambda: 5.0), []
    watch = SleepWatch(clocks.monotonic, clocks.wall)
    with watch.telling(lambda: told.append(1)):
        assert watch.recent() == 0
        clocks.sleep(60)
        assert watch.recent() == pytest.approx(60)
        assert told == []
        watch.tell()
        watch.tell()
        assert told == [1]
        clocks.awake(RECENT - 0.1)
        assert watch.recent() == pytest.approx(60)
        clocks.awake(0.2)
        assert watch.recent() == 0


def test_a_subscriber_with_a_defect_keeps_the_others_from_nothing():
    clocks, told = Clocks(lambda: 5.0), []
    watch = SleepWatch(clocks.monotonic, clocks.wall)

    def defect():
        raise LookupError

    with watch.telling(defect), watch.telling(lambda: told.append(1)), capture_logs() as logs:
        clocks.sleep(60)
        watch.tell()
    assert told == [1]
    assert [row["event"] for row in logs] == ["machine_slept", "after_sleep_defect"]


LOSSES = [Outcome(code, "words") for code in ("relay_lost", "incus_lost", "kubectl_killed")]


@pytest.mark.parametrize("outcome", LOSSES, ids=lambda outcome: outcome.code)
def test_what_the_lease_ended_during_a_sleep_was_lost_by_the_sleep(outcome):
    told = explain(outcome, LEASE)

    assert (told.code, told.hop) == ("ssh_lost", Hop.SSH)
    assert told.message == "this machine slept for 20 s, and the connection did not outlast the sleep: words"
    assert explain(outcome, LEASE - 1) is outcome, "the lease has not run out"
    assert explain(outcome, 0) is outcome


def test_a_lost_connection_names_any_sleep():
    error = explain_error(HopFailed("ssh_lost", "words"), AHEAD)

    assert error.code == "ssh_lost"
    assert "slept for 10 s" in error.message
    assert explain_error(awake := HopFailed("ssh_lost", "words"), 0) is awake


@pytest.mark.parametrize("code", [0, 1, 3, 126, 130, 137, 143])
def test_a_command_of_a_pod_that_ended_by_itself_ended_by_itself(code):
    assert explain(ended(code), 3600.0) == ended(code)


@pytest.mark.parametrize(
    ("code", "mine"), [(0, True), (3, True), (130, True), (129, False), (137, False), (143, False)]
)
def test_in_the_runner_the_signals_of_the_lease_are_known_by_their_exit_codes(code, mine):
    assert explain(ended(code), 3600.0, kubectl=False).code == ("exited" if mine else "ssh_lost")
