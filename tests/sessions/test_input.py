"""The input of a session where the disk takes none of it."""

import asyncio

from gateway.relay.journal import Journal
from gateway.relay.spool import Spools
from gateway.sessions.input import Input


class Taker:
    """A channel that keeps what it is given."""

    def __init__(self):
        self.taken = b""
        self.ended = asyncio.Event()

    async def write(self, data):
        self.taken += data

    def write_eof(self):
        self.ended.set()


async def test_input_for_which_a_disk_has_no_place_waits_until_the_command_takes_some(tmp_path):
    writes = []  # what the thread that writes would do
    spools = Spools()
    spools.put = writes.append
    source = Input(Journal(1000, 10_000, str(tmp_path / "gone"), spools=spools), lambda: None)
    await source.write(b"a" * 3000)
    for write in writes:
        write()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        more = tasks.create_task(source.write(b"b" * 3000))
        await asyncio.sleep(0.2)
        assert not more.done()
        channel = Taker()
        tasks.create_task(source.feed(channel, lambda _: None))
        await more
        source.close()
        await channel.ended.wait()
    assert channel.taken == b"a" * 3000 + b"b" * 3000
