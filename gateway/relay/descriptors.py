"""Opens what a command reads and writes: a terminal, or three pipes."""

from __future__ import annotations

from functools import partial

from . import process, wire
from .loop import OwnLoop
from .request import Request
from .stdin import Stdin


class Descriptors:
    """Holds both sides' descriptors, as far as they are open: `outs` maps ours, for output, to their streams; `theirs` are
    to be closed once the command has them.
    """

    def __init__(self, loop: OwnLoop) -> None:
        self._loop = loop
        self.outs: dict[int, int] = {}
        self.theirs: list[int] = []
        self.terminal: int | None = None
        self.stderr: int | None = None  # ours, of a stderr that is separate from the terminal

    def open(self, request: Request, stdin: Stdin) -> tuple[int, int, int]:
        """Opens all, begins `stdin`, and returns the command's descriptors 0 to 2. Raises OSError."""
        if request.size is None:
            reader, writer = process.pipe()
            self.theirs.append(reader)
            stdin.begin(writer, partial(self._loop.close, writer))
            return reader, self._out(wire.STDOUT), self._out(wire.STDERR)
        self.terminal, slave = process.terminal(request.size, raw=request.raw)
        stdin.begin(self.terminal, None)
        self.outs[self.terminal] = wire.STDOUT
        self.theirs.append(slave)
        if not request.separate_stderr:
            return slave, slave, slave
        stderr = self._out(wire.STDERR)
        self.stderr = next(fd for fd, stream in self.outs.items() if stream == wire.STDERR)
        return slave, slave, stderr

    def _out(self, stream: int) -> int:
        ours, other = process.pipe()
        self.theirs.append(other)
        self.outs[ours] = stream
        return other
