"""Does for output that waits what keys of a terminal ask for: interrupt, stop and quit drop a flood, Ctrl-S holds it.

The kernel of a terminal does both, but what is on its way here has left the pod's terminal behind. Output is dropped only
in shells that the gateway starts: elsewhere these keys may be bytes of a transfer. Holding drops nothing.
"""

import asyncio
import re
from collections.abc import Callable

from gateway.cli.terminal.stdio import Sink
from gateway.protocol.messages import Stream

FLOOD = 65536  # bytes that wait, from where on they are a flood
_TAIL = 4096  # bytes of them that stay: a prompt is among them
_QUIET = 1.0  # seconds after the key in which what comes is still the flood's
_CALM = 0.05  # seconds without output after which the flood is over
_LULL = 0.2  # seconds without input before a key that a person has typed
_STOP = b"\x13"
_FLUSHING = re.compile(rb"[\x03\x1a\x1c](?!.*[\x03\x1a\x1c])", re.DOTALL)  # the last such key
_REPORT = re.compile(rb"(?:\x1b\[(?:[IO]|[<?>\d;]+[cRnMmy]|M...))+", re.DOTALL)  # the terminal itself says so


class Flood:
    """Stands before the sink. `mark` writes a line about so many bytes left out. `exact`: nothing is dropped or held."""

    def __init__(self, sink: Sink, mark: Callable[[int], None], *, exact: bool) -> None:
        self.drops = False  # the session's shell is one that the gateway has started
        self._sink = sink
        self._mark = mark
        self._exact = exact
        self._clock = asyncio.get_running_loop().time
        self._typed = float("-inf")
        self._quiet_until = self._stop_until = 0.0
        self._since = 0  # bytes of output since Ctrl-S
        self._rest = bytearray()  # of a flood, its end
        self._dropped = 0
        self._calm: asyncio.TimerHandle | None = None

    def typed(self, data: bytes) -> int:
        """Takes notice of keys. Returns where in `data` the last key stands that drops the input before it, too; -1
        without one.
        """
        if self._exact or _REPORT.fullmatch(data):
            return -1
        now, before = self._clock(), self._typed
        self._typed = now
        self._stop(now) if data == _STOP else self._go_on()
        found = _FLUSHING.search(data)
        if not self.drops:
            return 0 if found and len(data) == 1 and now - before > _LULL else -1
        self._quiet_until = now + _QUIET if found else 0.0
        self._skip()
        return found.start() if found else -1

    async def write(self, stream: int, data: bytes) -> None:
        """Writes output, or drops what is the flood's. Raises as `Sink.write`."""
        if stream == Stream.STDOUT and self._quiet:
            self._rest += data
            self._cut()
            return
        self.emit()
        if self._clock() < self._stop_until:
            self._since += len(data)
            if self._since > FLOOD:
                self._sink.hold()
        await self._sink.write(stream, data)

    def emit(self) -> None:
        """Writes the end of a flood, behind the line about what is left out."""
        if self._calm:
            self._calm.cancel()
            self._calm = None
            if self._dropped:
                self._mark(self._dropped)
            self._sink.put(Stream.STDOUT, bytes(self._rest))
            self._rest.clear()
            self._dropped = 0

    def settle(self) -> None:
        """Holds and keeps nothing any more."""
        self._go_on()
        self.emit()

    @property
    def _quiet(self) -> bool:
        """True while output is dropped."""
        self._skip()
        return self._calm is not None and self._clock() < self._quiet_until

    def _skip(self) -> None:
        """Takes a flood back that waits for the terminal."""
        if self._clock() < self._quiet_until and self._sink.waiting > FLOOD:
            self._rest += self._sink.take_back(Stream.STDOUT)
            self._cut()

    def _cut(self) -> None:
        if len(self._rest) > FLOOD:
            over = len(self._rest) - _TAIL
            del self._rest[:over]
            self._dropped += over
            self._sink.count(Stream.STDOUT, over)
        if self._calm:
            self._calm.cancel()
        self._calm = asyncio.get_running_loop().call_later(_CALM, self.emit)

    def _stop(self, now: float) -> None:
        if self._sink.waiting > FLOOD:
            self._sink.hold()
        else:
            self._stop_until, self._since = now + _QUIET, 0

    def _go_on(self) -> None:
        self._stop_until = 0.0
        self._sink.go_on()
