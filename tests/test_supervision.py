"""A task that lives as long as the gateway: started again whatever it raises, and shown while it fails."""

import asyncio

import pytest
from structlog.testing import capture_logs
from support import virtual_time

from gateway.supervision import BACKOFF, STEADY, supervise


class Work:
    """Plays one step for each start: an error to raise, None to return, or seconds to run before it raises."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.starts = []

    async def run(self):
        self.starts.append(virtual_time.now())
        step = self.steps.pop(0) if self.steps else 1e9
        if isinstance(step, Exception):
            raise step
        if step is not None:
            await asyncio.sleep(step)
            raise LookupError("later, with a secret in it")


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr("gateway.supervision.time.monotonic", virtual_time.now)


async def watch(work, seconds, restarts):
    """Supervises the work for so long, and returns what was logged."""
    with capture_logs() as logs:
        task = asyncio.ensure_future(supervise("lease", work.run, restarts))  # noqa: TID251  # cancelled below
        await asyncio.sleep(seconds)
        shown = dict(restarts)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    return logs, shown


@pytest.mark.usefixtures("clock")
def test_whatever_it_raises_it_is_started_again_with_backoff():
    work = Work(*[ValueError("a secret")] * 8)

    logs, shown = virtual_time.run(watch(work, 100.0, {}))

    pauses = [later - before for before, later in zip(work.starts, work.starts[1:], strict=False)]
    assert pauses == pytest.approx([*BACKOFF, BACKOFF[-1], BACKOFF[-1]])
    assert {(line["event"], line["task"], line["log_level"]) for line in logs} == {
        ("task_defect", "lease", "error")
    }
    assert all(line["exc_info"] for line in logs)
    assert shown == {"lease": "a defect: ValueError; started again 8 times in a row"}


@pytest.mark.usefixtures("clock")
def test_an_end_is_a_defect_too():
    work = Work(None)

    logs, shown = virtual_time.run(watch(work, 10.0, {}))

    assert [line["event"] for line in logs] == ["task_ended"]
    assert shown == {"lease": "ended, and never should; started again 1 times in a row"}
    assert len(work.starts) == 2


@pytest.mark.usefixtures("clock")
def test_after_a_minute_without_one_a_defect_counts_no_more():
    work = Work(*[KeyError("x")] * 4, STEADY + 1)
    restarts = {}

    _, shown = virtual_time.run(watch(work, sum(BACKOFF[:4]) + STEADY + 0.5, restarts))
    assert shown == {}

    work = Work(*[KeyError("x")] * 4, STEADY + 1)
    virtual_time.run(watch(work, 200.0, restarts))
    assert work.starts[5] - work.starts[4] == pytest.approx(STEADY + 1 + BACKOFF[0])
