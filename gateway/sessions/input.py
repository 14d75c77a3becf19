"""A command's input on its way: it waits in a journal of its own until the channel takes it."""

import asyncio
from collections.abc import Callable

from gateway.backends.contract import Channel
from gateway.protocol.codec import CHUNK
from gateway.protocol.messages import Stream
from gateway.relay.journal import Journal
from gateway.settings.config import Limits


class Input:
    """One session's input. `size`: bytes that came; `on_input` is called for each part that comes."""

    def __init__(self, limits: Limits, on_input: Callable[[], None]) -> None:
        self.size = 0
        self._journal = Journal(limits.journal_memory, limits.stdin_capacity)
        self._on_input = on_input
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Returns True once no more input can come."""
        return self._journal.closed

    async def write(self, data: bytes) -> None:
        """Takes input. Waits only when `stdin_capacity` bytes are unread; after the end: no effect."""
        while data and not self._journal.closed:
            part = data[: max(self._journal.free, 0)]
            if part:
                self._journal.append(Stream.STDIN, part)
                self.size += len(part)
                self._on_input()
                self._changed.set()
                data = data[len(part) :]
            else:
                self._room.clear()
                await self._room.wait()

    def close(self) -> None:
        """Ends the input after what has come."""
        self._journal.close()
        self._changed.set()

    def discard(self) -> None:
        """Drops what has come; whoever waits in `write` goes on."""
        self._journal.discard()
        self._room.set()

    def skip_to(self, offset: int) -> None:
        """Begins at the offset: what stood before it is at the far side."""
        self._journal.skip_to(offset)
        self.size = offset

    async def feed(self, channel: Channel, on_taken: Callable[[int], None]) -> None:
        """Writes the input to the channel, and its end. `on_taken` is called with each offset that the channel has
        taken.
        """
        offset = self._journal.start
        while True:
            record = self._journal.read(offset, 4 * CHUNK)
            if record:
                offset += len(record[1])
                await channel.write(record[1])
                self._journal.drop(offset)
                self._room.set()
                on_taken(offset)
            elif self._journal.closed:
                channel.write_eof()
                return
            else:
                self._changed.clear()
                await self._changed.wait()
