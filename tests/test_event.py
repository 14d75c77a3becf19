"""The event that sessions wait for does what asyncio's does."""

import asyncio

import pytest

from gateway.event import Event


async def waiting(tasks, event, count=1):
    begun = [tasks.create_task(event.wait()) for _ in range(count)]
    await asyncio.sleep(0)
    return begun


@pytest.mark.parametrize("kind", [Event, asyncio.Event])
async def test_all_who_wait_are_woken_also_where_it_is_cleared_at_once(kind):
    event = kind()
    async with asyncio.TaskGroup() as tasks:
        await waiting(tasks, event, 3)
        event.set()
        event.clear()
    assert not event.is_set()


@pytest.mark.parametrize("kind", [Event, asyncio.Event])
async def test_who_comes_while_it_is_set_does_not_wait_and_who_comes_after_does(kind):
    event = kind()
    event.set()
    await event.wait()
    event.clear()
    async with asyncio.TaskGroup() as tasks:
        (task,) = await waiting(tasks, event)
        assert not task.done()
        event.set()


@pytest.mark.parametrize("kind", [Event, asyncio.Event])
@pytest.mark.parametrize("late", [False, True], ids=["before", "in the turn of the set"])
async def test_one_who_is_cancelled_wakes_nobody_and_holds_nobody_back(kind, late):
    event = kind()
    async with asyncio.TaskGroup() as tasks:
        first, second = await waiting(tasks, event, 2)
        if late:
            event.set()
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        assert second.done() is late
        event.set()
    assert not second.cancelled()


async def test_one_who_was_cancelled_is_forgotten():
    event = Event()
    async with asyncio.TaskGroup() as tasks:
        (task,) = await waiting(tasks, event)
        task.cancel()
    assert event._waiting == ()
