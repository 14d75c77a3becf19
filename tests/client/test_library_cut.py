"""A command that does not end by itself ends whoever waits for it, in whichever task or thread."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.client.library import running
from gateway.client.library.blocking import BlockingRunning
from gateway.client.library.loop_thread import LoopThread
from gateway.errors import HopFailed
from gateway.protocol.messages import Output, Stream

WAYS = ["wait", "read"]


class Scripted:
    """Stands for a process at the gateway: says a line, and then nothing, until its hop is `lost`."""

    exit_code = None

    def __init__(self):
        self.said, self.lost = False, asyncio.Event()

    async def read(self):
        if not self.said:
            self.said = True
            return Output(Stream.STDOUT, b"part")
        await self.lost.wait()
        raise HopFailed("ssh_lost", "the connection was lost")


@pytest.fixture
def process(monkeypatch):
    made = []

    @asynccontextmanager
    async def process(*_):
        made.append(Scripted())
        yield made[-1]

    monkeypatch.setattr(running, "process", process)
    return made


def used(run, way):
    return run.wait() if way == "wait" else run.stdout.read()


@pytest.mark.parametrize("way", WAYS)
def test_a_thread_is_told_of_a_lost_hop(process, way):
    loop = LoopThread()
    enter = loop.entering(lambda: running.running(None, None, None), lambda run: BlockingRunning(loop, run))
    told = False
    with suppress(HopFailed), enter() as run:  # so the block ends, too
        loop.blocking(lose_soon)(process[0])
        with pytest.raises(HopFailed, match="lost"):
            used(run, way)
        told = True
    loop.close()
    assert told


async def lose_soon(process):
    """While the thread waits."""
    asyncio.get_running_loop().call_later(0.1, process.lost.set)


@pytest.mark.parametrize("way", WAYS)
async def test_another_task_is_told_of_a_lost_hop(process, way):
    async def beside(run):
        with pytest.raises(HopFailed, match="lost"):
            await used(run, way)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        with suppress(HopFailed):
            async with running.running(None, None, None) as run:
                tasks.create_task(beside(run))
                await asyncio.sleep(0)
                process[0].lost.set()
                await asyncio.Event().wait()


async def test_once_the_command_is_left_a_reader_has_its_end_and_who_waits_is_told(process):
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks, running.running(None, None, None) as run:
        reading = tasks.create_task(run.stdout.read())
        waiting = tasks.create_task(_told(run))
        while not process[0].said:  # noqa: ASYNC110  # a turn or two
            await asyncio.sleep(0)
    assert await reading == b"part"
    assert await waiting == "client_closed"


async def _told(run):
    with pytest.raises(HopFailed) as told:
        await run.wait()
    return told.value.code
