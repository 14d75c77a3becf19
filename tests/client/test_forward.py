"""A forwarded port takes connections, whatever becomes of one of them."""

import asyncio
import os
import resource
import socket

from support.waiting import until

from gateway.client.endpoint import Endpoint
from gateway.client.forward.forward import Forward
from gateway.client.forward.listener import listening
from gateway.client.forward.tunnels import Tunnels


class Nowhere:
    """A destination for which there is no way yet."""

    def __init__(self):
        self.asked = asyncio.Event()

    async def where(self):
        self.asked.set()
        await self.run()

    async def run(self):
        await asyncio.Event().wait()


def lowest_free():
    """The number that the next descriptor would have."""
    number = os.open(os.devnull, os.O_RDONLY)
    os.close(number)
    return number


async def test_a_connection_for_which_no_descriptor_is_left_is_taken_later():
    said, nowhere = [], Nowhere()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening("127.0.0.1", 0) as sockets, socket.socket() as client:
        client.setblocking(False)
        forward = Forward(Tunnels(Endpoint("http://localhost")), nowhere, said.append)
        running = asyncio.ensure_future(forward.run(sockets))  # noqa: TID251  # the test is its life
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free(), before[1]))
            await asyncio.get_running_loop().sock_connect(client, sockets[0].getsockname())
            await until(lambda: said or running.done())
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            await asyncio.wait_for(nowhere.asked.wait(), 5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert said == ["a connection waits to be taken: Too many open files"]
