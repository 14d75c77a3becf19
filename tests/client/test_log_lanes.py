"""Lines that wait for a slow reader."""

import asyncio
from contextlib import suppress

from support import virtual_time

from gateway.client.logs.lines import LogLine
from gateway.client.logs.merge import Merge


def test_a_line_whose_wait_for_room_is_cancelled_is_delivered():
    """Its log has counted the line, and never reads it again."""

    async def story():
        delivered = []

        async def deliver(item):
            delivered.append(item.data)

        lines = [b"x" * (1 << 20), b"behind\n", b"last\n"]
        merge = Merge(0, deliver)
        lane = merge.lane()
        for data in lines:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await lane.put(LogLine("", "", "", 1, b"", data))
        assert virtual_time.now() >= 2  # there was no room
        lane.close()
        merge.finish()
        await merge.run()
        assert delivered == lines

    virtual_time.run(story())
