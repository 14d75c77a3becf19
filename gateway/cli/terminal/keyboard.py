"""Reads the keys from the terminal, holds them until the gateway has them, and looks for the few that are for
us.
"""

import asyncio
from collections.abc import Callable

from gateway.cli.terminal.notices import Absence
from gateway.cli.terminal.stdio import Source
from gateway.client.connection import Connection
from gateway.client.exit_status import End, GivenUp
from gateway.client.input_buffer import InputBuffer
from gateway.client.resume import broken
from gateway.protocol.outcome import Hop

_CTRL_C = b"\x03"
_ESCAPE = b"\r~."  # as ssh's


class Keyboard:
    """Reads, holds and sends keys. `ready`: the command runs, its terminal is raw, and keys may be read.
    `why`: returns the end when the person gives up.
    `typed`: takes notice of keys, as `Flood.typed`.

    Two keys are ours, and only while nothing can arrive: Ctrl-C, once the line that says so is on the screen
    (before that it may well be meant for the program), and `~.` after Enter.
    """

    def __init__(
        self, absence: Absence, why: Callable[[], End], typed: Callable[[bytes], int] = lambda _: -1
    ) -> None:
        self.ready = asyncio.Event()
        self._absence = absence
        self._why = why
        self._notice = typed
        self._buffer = InputBuffer()
        self._last = b""
        self._resumable = False
        self._ended = False  # the terminal has hung up
        self._typed = asyncio.Event()  # there may be something to send
        self._space = asyncio.Event()

    async def read(self) -> None:
        """Reads keys until the terminal hangs up. Raises GivenUp when the person gives up, or when the
        terminal of a resumable session hangs up.
        """
        await self.ready.wait()
        source = Source(0)
        while data := await source.read():
            data = self._look(data)
            while self._buffer.free < len(data):
                self._space.clear()
                await self._space.wait()
            self._buffer.add(data)
            self._typed.set()
        if self._resumable:  # nobody will ever type again: as when a terminal is closed
            raise GivenUp(End("client_closed", Hop.CLIENT, "the terminal hung up"))
        self._ended = True
        self._typed.set()

    async def send(self, connection: Connection) -> None:
        """Sends what is held, as far as there is credit, as long as the connection lives. Half-closes and
        returns once the terminal of a session that cannot be resumed has hung up.
        """
        while True:
            data = self._buffer.next()
            if data:
                self._space.set()
                await connection.send(data)
            elif self._ended and not self._buffer.waiting:
                await connection.half_close()
                return
            else:
                self._typed.clear()
                await self._typed.wait()

    def begin(self, offset: int, window: int) -> None:
        """Starts at the first hello of a session that acknowledges."""
        self._resumable = True
        self._buffer.begin(offset, window)

    def limit(self, window: int) -> None:
        """Starts at the hello of a session that ends with its connection: `window` bytes of input may be on
        their way.
        """
        self._buffer.begin(0, window)

    def again(self, offset: int, window: int) -> None:
        """Sends from `offset` again, at the hello after a loss. Raises GatewayFailed for an offset that
        cannot be.
        """
        if not self._buffer.again(offset, window):
            raise broken("it acknowledged input that was never sent")
        self._wake()

    def received(self, offset: int) -> None:
        """Drops input before `offset`, which has arrived. Raises as `again`."""
        if not self._buffer.received(offset):
            raise broken("it acknowledged input that was never sent")
        self._wake()

    def close(self) -> None:
        """Frees what is held."""
        self._buffer.close()

    def _wake(self) -> None:
        self._typed.set()
        self._space.set()

    def _look(self, data: bytes) -> bytes:
        typed = self._last + data
        self._last = typed[1 - len(_ESCAPE) :]
        flushing = self._notice(data)
        if self._absence.lost:
            if _ESCAPE in typed or (self._absence.told and _CTRL_C in data):
                raise GivenUp(self._why())
            self._absence.tell()
        elif flushing >= 0 and self._buffer.waiting:
            self._buffer.discard()  # as the line discipline of a terminal does
            return data[flushing:]
        return data
