"""An exec channel of an SSH connection, always read at full speed."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import asyncssh

from gateway.backends.ssh.foreign_text import shown
from gateway.backends.ssh.overrides import say_nothing_of_packets
from gateway.errors import HopFailed
from gateway.protocol.target import TerminalSize

# The outer terminals only carry bytes; the pod's own does the rest (RFC 4254, 8).
RAW = dict.fromkeys((asyncssh.PTY_ECHO, asyncssh.PTY_ICANON, asyncssh.PTY_ISIG, asyncssh.PTY_IEXTEN, asyncssh.PTY_ICRNL, asyncssh.PTY_IXON, asyncssh.PTY_OPOST), 0)  # fmt: skip
_HIGH_WATER = 256 * 1024  # bytes of input that may wait in asyncssh


class Process(asyncssh.SSHClientSession[bytes]):
    """Implements `Process` over a channel of asyncssh. Never pauses reading: kubectl would lose output."""

    def __init__(self, words: Callable[[], str] = str) -> None:
        """`words`: returns the text to append to the message when the connection is lost."""
        self._words = words
        self._channel: asyncssh.SSHClientChannel[bytes]
        self.opened = False  # the far side has confirmed the channel
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._more = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()
        self._error: Exception | None = None
        self._sink: Callable[[int, bytes], None] | None = None
        self._drained: Callable[[], None] = lambda: None

    # what asyncssh calls
    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        self.opened = True
        chan.set_write_buffer_limits(high=_HIGH_WATER)
        say_nothing_of_packets(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._sink:
            self._sink(2 if datatype else 1, data)
            return
        self._chunks.append((2 if datatype else 1, data))
        self._more.set()

    def eof_received(self) -> bool:
        return True  # our side stays open: input and output end apart

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
        self._drained()

    def connection_lost(self, exc: Exception | None) -> None:
        self._error = exc
        self._closed.set()
        self._more.set()
        self._writable.set()

    # what the chain calls
    async def read(self) -> list[tuple[int, bytes]]:
        """See `Process.read`."""
        while not self._chunks and not self._closed.is_set():
            self._more.clear()
            await self._more.wait()
        batch = list(self._chunks)
        self._chunks.clear()
        return batch

    def deliver(self, sink: Callable[[int, bytes], None]) -> None:
        """See `Process.deliver`; saves a turn of the event loop. If the sink raises, the whole connection is lost."""
        self._sink = sink
        for kind, data in self._chunks:
            sink(kind, data)
        self._chunks.clear()

    def send(self, data: bytes) -> None:
        """See `Process.send`."""
        if not self._closed.is_set():
            with suppress(OSError, asyncssh.Error):
                self._channel.write(data)

    @property
    def full(self) -> bool:
        """See `Process.full`."""
        return not self._writable.is_set()

    def on_drained(self, call: Callable[[], None]) -> None:
        """See `Process.on_drained`."""
        self._drained = call

    async def write(self, data: bytes) -> None:
        """See `Process.write`; waits while asyncssh holds more than 256 KiB."""
        if not self._closed.is_set():
            self.send(data)
            await self._writable.wait()

    def write_eof(self) -> None:
        """See `Process.write_eof`."""
        with suppress(OSError, asyncssh.Error):
            self._channel.write_eof()

    def resize(self, size: TerminalSize) -> None:
        """See `Process.resize` (RFC 4254, 6.7)."""
        with suppress(OSError, asyncssh.Error):
            self._channel.change_terminal_size(size.columns, size.rows)

    def terminate(self) -> None:
        """See `Process.terminate` (RFC 4254, 6.9): sshd signals incus' process group, incus passes the signal to the
        wrapper.
        """
        with suppress(OSError, asyncssh.Error):
            self._channel.terminate()

    @property
    def exit_code(self) -> int | None:
        """See `Process.exit_code`."""
        return self._channel.get_exit_status()

    @property
    def closed(self) -> bool:
        """See `Process.closed`."""
        return self._closed.is_set()

    @property
    def lost(self) -> bool:
        """See `Process.lost`."""
        return self._error is not None

    def failure(self) -> HopFailed:
        """See `Process.failure`."""
        why = f"{shown(str(self._error or 'closed'))}{self._words()}"
        return HopFailed("ssh_lost", f"the connection to the management host was lost: {why}")

    async def wait_closed(self) -> None:
        """See `Process.wait_closed`."""
        await self._closed.wait()

    def close(self) -> None:
        """See `Process.close`."""
        with suppress(OSError, asyncssh.Error):
            self._channel.close()
