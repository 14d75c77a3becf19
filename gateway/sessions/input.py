"""Holds a command's input in a journal until the channel takes the input; waits for the disk that a journal writes to."""

import asyncio
from collections.abc import Callable

from gateway.backends.contract import Channel
from gateway.event import Event
from gateway.protocol.messages import Stream
from gateway.relay.journal import Journal, JournalFull
from gateway.relay.wire import FULL

_PART = 4 * FULL  # bytes that the channel takes at once: full frames of a relay
_MOMENT = 0.05  # seconds in which a command that reads makes room
_PAUSE = 0.002  # seconds between looks at a disk that is slow; in that time much is written to any other disk


async def caught_up(journal: Journal) -> None:
    """Waits while a slow disk is behind with what was appended to the journal."""
    while journal.behind:  # noqa: ASYNC110  # the thread that writes knows no loop
        await asyncio.sleep(_PAUSE)


class Input:
    """Holds one session's input. `size`: bytes that have been written; calls `on_input` for each part that is written."""

    def __init__(self, journal: Journal, on_input: Callable[[], None]) -> None:
        self.size = 0
        self._journal = journal
        self._on_input = on_input
        self._changed = Event()
        self._freed = Event()
        self._keeps_up = True  # the command takes what is in memory within a moment

    @property
    def closed(self) -> bool:
        """Returns True once no more input can come."""
        return self._journal.closed

    async def write(self, data: bytes) -> None:
        """Appends input, and waits while the journal is full of unread input. Ignores input after `close` or `discard`."""
        while data:
            await self._let_read(len(data))
            if self._journal.closed:
                return
            part = data[: max(self._journal.free, 0)]
            if part:
                try:
                    self._journal.append(Stream.STDIN, part)
                except JournalFull:  # the disk has failed meanwhile: there is less room than it said
                    continue
                self.size += len(part)
                self._on_input()
                self._changed.set()
                data = data[len(part) :]
                await caught_up(self._journal)
            else:
                self._freed.clear()
                await self._freed.wait()

    async def _let_read(self, count: int) -> None:
        """Waits a moment where memory has no room for `count` bytes: what a command is about to take need not go to the
        disk and back. Once one has not kept up, it is waited for again when it has taken all that there was.
        """
        while self._keeps_up and self._journal.spills(count):
            self._freed.clear()
            try:
                async with asyncio.timeout(_MOMENT):
                    await self._freed.wait()
            except TimeoutError:
                self._keeps_up = False

    def close(self) -> None:
        """Ends the input: `feed` sends what was written, then the end of input."""
        self._journal.close()
        self._changed.set()

    def discard(self) -> None:
        """Drops the unread input, ignores further input, and wakes a waiting `write`."""
        self._journal.discard()
        self._freed.set()

    def skip_to(self, offset: int) -> None:
        """Starts the input at `offset`: the input before this offset has reached the far side."""
        self._journal.skip_to(offset)
        self.size = offset

    async def feed(self, channel: Channel, on_taken: Callable[[int], None]) -> None:
        """Writes the input and then the end of input to the channel. Calls `on_taken` with the offset up to which the
        channel has taken input, after each write.
        """
        offset = self._journal.start
        while True:
            record = self._journal.read(offset, _PART)
            if record:
                data = _frames(record[1])
                offset += len(data)
                await channel.write(data)
                self._journal.drop(offset)
                self._freed.set()
                on_taken(offset)
            elif self._journal.closed:
                channel.write_eof()
                return
            else:
                self._keeps_up = True
                self._changed.clear()
                await self._changed.wait()


def _frames(data: bytes) -> bytes:
    """Returns the full frames that the data begins with, or all of it where it fills none: a frame for the rest would cost
    every program on the way as much as a full one, and more may come behind it.
    """
    size = len(data) // FULL * FULL
    return data[:size] if 0 < size < len(data) else data
