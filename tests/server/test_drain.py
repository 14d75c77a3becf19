"""Whoever waits for a client that takes nothing waits for that alone."""

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol

from gateway.server import drain


@pytest.fixture
async def paused(monkeypatch):
    """A protocol whose client takes nothing."""
    monkeypatch.setattr(BaseProtocol, "_drain_helper", BaseProtocol._drain_helper)  # is put back
    drain.cancel_own_wait_alone()
    protocol = BaseProtocol(asyncio.get_running_loop())
    protocol.transport = asyncio.Transport()
    protocol.pause_writing()
    return protocol


async def test_a_wait_that_is_cancelled_ends_no_other_and_not_the_next(paused):
    async with asyncio.TaskGroup() as tasks:
        before, cut = (tasks.create_task(paused._drain_helper()) for _ in range(2))
        await asyncio.sleep(0)
        cut.cancel()
        await asyncio.wait([cut])
        after = tasks.create_task(paused._drain_helper())
        await asyncio.sleep(0)
        assert not before.done()
        assert not after.done()
        paused.resume_writing()
    assert cut.cancelled()
    assert not after.cancelled()


@pytest.mark.parametrize("error", [None, OSError("reset")])
async def test_a_client_that_leaves_ends_every_wait(paused, error):
    async def told():
        try:
            await paused._drain_helper()
        except ConnectionError as lost:
            return str(lost)
        return ""

    async with asyncio.TaskGroup() as tasks:
        waits = [tasks.create_task(told()) for _ in range(2)]
        await asyncio.sleep(0)
        paused.connection_lost(error)

    assert [one.result() for one in waits] == ["Connection lost" if error else ""] * 2
    assert await told() == "Connection lost"
