"""A session that has ended counts against the quotas for a while only, though its end waits to be told."""

import asyncio

import pytest
from support.channel import OUT
from support.virtual_time import now, run
from test_recovery import NAME, Kept

from gateway.protocol.outcome import ended
from gateway.sessions.registry import SessionRegistry
from gateway.sessions.resumption import NEWEST
from gateway.settings.config import Limits


async def taken(size: int, *moments: float) -> list[int]:
    """Places that are taken at these moments after the start; the session writes so much, and ends after a second."""
    backend = Kept(0, NAME)
    backend.script.output[:] = [(OUT, b"x" * size), 1.0, ended(0)]
    async with asyncio.TaskGroup() as tasks:
        registry = SessionRegistry({"here": backend}, Limits(), tasks, lambda *_: None, lambda *_: None)
        looker = tasks.create_task(registry.recovery.run("here"))
        await registry.find(NAME)
        found = []
        for moment in moments:
            await asyncio.sleep(moment - now())
            found.append(registry.quota.sessions)
        (session,) = registry.sessions
        assert session.over.done(), "its end waits"
        for task in (looker, *registry.sessions.values()):
            task.cancel()
    assert registry.quota.sessions == 0
    return found


@pytest.mark.parametrize(("size", "counts"), [(10, [1, 0, 0]), (2 * NEWEST, [1, 1, 0])])
def test_it_counts_for_half_a_minute_while_much_output_waits(size, counts):
    assert run(taken(size, 0.5, 30.0, 31.5)) == counts
