"""When a log that stands still is given up, to be opened again."""

import asyncio

import pytest
from support import virtual_time

from gateway.client.logs.silence import Silence


class Peer:
    """Has more to read, and tells when it is asked a second time; that answer takes a second."""

    def __init__(self):
        self.looks, self.looked_again = 0, asyncio.Event()

    async def newer(self):
        self.looks += 1
        if self.looks == 2:
            self.looked_again.set()
            await asyncio.sleep(1)
        return True


def guarded(read):
    """Returns whether the log was given up while it was read."""

    async def story():
        silence, peer = Silence(10), Peer()
        async with silence.guard(peer.newer, lambda: None) as reopened:
            await read(silence, peer)
        return reopened()

    return virtual_time.run(story())


def test_nothing_comes_though_there_is_more():
    assert guarded(lambda *_: asyncio.Event().wait())


@pytest.mark.parametrize("seconds", [0, 5], ids=["read", "busy"])
def test_the_log_goes_on_during_the_second_look(seconds):
    """What has come is given to a reader who takes it at once, or is slow."""

    async def read(silence, peer):
        await peer.looked_again.wait()
        silence.heard()
        with silence.busy():
            await asyncio.sleep(seconds)
        await asyncio.sleep(5 - seconds)

    assert not guarded(read)
