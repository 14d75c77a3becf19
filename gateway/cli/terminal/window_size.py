"""Sends the terminal's size when it changes, and a wrong one for a moment where the program has to draw its
screen again.
"""

import asyncio

from gateway.cli.terminal import tty
from gateway.cli.terminal.tty import Terminal
from gateway.client.connection import Connection
from gateway.protocol.target import TerminalSize

_NUDGE = 0.25  # seconds between two sizes, so that both reach the program


class WindowSize:
    """Sends each new size of the terminal. `known`: the size that the session started with. `ready`: the
    command runs.
    """

    def __init__(self, known: TerminalSize | None, terminal: Terminal | None) -> None:
        self.ready = asyncio.Event()
        self._known = known
        self._terminal = terminal
        self._redraw = False
        self._wake = asyncio.Event()

    def again(self) -> None:
        """Forgets the size sent last, so that it is sent again: the other side may not have got it."""
        self._known = None

    def redraw(self) -> None:
        """Makes a program that draws the whole screen do so: its terminal gets smaller, and back."""
        self._redraw = True
        self._wake.set()

    async def listen(self, changed: asyncio.Event) -> None:
        """Waits for `tty.resized` and wakes `send`. Never returns."""
        while True:
            await changed.wait()
            changed.clear()
            if self._terminal:
                self._terminal.again()
            self._wake.set()

    async def send(self, connection: Connection) -> None:
        """Sends each new size. Never returns."""
        await self.ready.wait()
        while True:
            self._wake.clear()
            size = tty.size()
            if size and self._redraw:
                self._redraw = False
                smaller = TerminalSize(size.columns, max(size.rows - 1, 1))
                await connection.resize(smaller)
                self._known = smaller
                await asyncio.sleep(_NUDGE)
                size = tty.size() or size
            if size and size != self._known:
                self._known = size
                await connection.resize(size)
            await self._wake.wait()
