"""A link that is lost: whoever waits on it, and whoever begins to wait afterwards, hears of it at once."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.served import cluster_at

from gateway.backends.factory import make
from gateway.backends.relay.credentials import throw_away
from gateway.errors import HopFailed
from gateway.settings.config import Limits

WHO = throw_away()  # the same for all tests, so that they have one relay
LOST = HopFailed("incus_lost", "it is gone")
AT_ONCE = 1.0  # seconds
SLEEPER = {"argv": ["sleep", "1000"]}  # says nothing, and reads nothing


@asynccontextmanager
async def linked(demo):
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with make(cluster, Limits(), None, WHO) as backend:
        yield await backend.link()


WAITS = ["ping", "run", "read", "write", "wait_ended", "start"]
RAISES = ("ping", "start")


async def wait(name, link, stream):
    """Waits on the link or on its stream, in each way that there is."""
    match name:
        case "ping" | "run":
            await getattr(link, name)()
        case "write":
            await stream.write(bytes(8 << 20))
        case _:
            await getattr(stream, name)()


@pytest.mark.parametrize("name", WAITS)
async def test_who_begins_to_wait_on_a_lost_link_hears_of_the_loss(demo, name):
    async with linked(demo) as link:
        stream = link.open(SLEEPER)
        link.fail(LOST)
        async with asyncio.timeout(AT_ONCE):
            if name in RAISES:
                with pytest.raises(HopFailed, match="it is gone"):
                    await wait(name, link, stream)
            else:
                await wait(name, link, stream)
        with pytest.raises(HopFailed, match="it is gone"):
            link.open(SLEEPER)


@pytest.mark.parametrize("name", ["ping", "read", "write", "wait_ended"])
async def test_who_waits_on_a_link_that_is_lost_hears_of_the_loss(demo, name):
    async with linked(demo) as link:
        stream = link.open(SLEEPER)
        await stream.start()
        link._process.deliver(lambda _kind, _data: None)  # the relay's answers do not arrive
        waiter = asyncio.create_task(wait(name, link, stream))  # noqa: TID251  # awaited below
        await asyncio.sleep(0.2)
        assert not waiter.done()
        link.fail(LOST)
        async with asyncio.timeout(AT_ONCE):
            await asyncio.wait([waiter])
        assert bool(waiter.exception()) == (name in RAISES)
