"""A limit on the way out, which holds in a task that is being cancelled."""

import asyncio

import pytest

from gateway.timeouts import wait_within


async def test_what_is_done_in_time_and_what_is_not():
    assert await wait_within(asyncio.sleep(0), 5)
    assert not await wait_within(asyncio.sleep(1000), 0.01)


async def test_what_it_raises():
    async def broken():
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        await wait_within(broken(), 5)


async def test_in_a_task_that_is_being_cancelled():
    """And what was not in time is cancelled, not left."""
    found = []

    async def leaves():
        ended = asyncio.Event()

        async def work():
            try:
                await asyncio.sleep(1000)
            finally:
                ended.set()

        try:
            await asyncio.sleep(1000)
        finally:
            found.append(await wait_within(work(), 0.01))
            await ended.wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(leaves())
        await asyncio.sleep(0)
        task.cancel()
    assert found == [False]


async def test_a_second_cancel_ends_the_waiting():
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(wait_within(asyncio.sleep(1000), 1000))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
