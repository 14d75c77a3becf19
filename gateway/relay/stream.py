"""Turns a command or a connection into frames for the link: frames in, frames out, as far as there is credit."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from . import wire
from .loop import describe_defect
from .running import Running


class Credit(NamedTuple):
    """Holds what a stream begins with: bytes of output that may be sent, and bytes of input that may come."""

    output: int
    input: int

    @classmethod
    def parse(cls, given: dict[str, Any]) -> Credit:
        """Returns what a request asks for. Raises WireError."""
        found = cls(given.get("credit", wire.WINDOW), given.get("input", wire.INPUT))
        if not all(isinstance(size, int) and 0 <= size <= wire.MOST for size in found):
            raise wire.WireError("credit and input are numbers of bytes")
        if found.input < wire.WINDOW:
            raise wire.WireError(f"input is at least {wire.WINDOW} bytes")
        return found


class Stream:
    """Produces and receives the frames of one stream. The link calls `take` as long as it returns a frame;
    the stream calls `wake` when there may be one again.
    """

    def __init__(self, number: int, credit: Credit) -> None:
        self.number = number
        self.wake: Callable[[], None] = lambda: None
        self.over = False
        self._broken = False
        self._unsent: deque[bytes] = deque()
        self._may_send = wire.Allowance(credit.output)
        self._may_come = wire.Window(credit.input, step=wire.WINDOW // 2)

    def send(self, frame: bytes) -> None:
        """Queues a frame that needs no credit, ahead of data, and wakes the link."""
        self._unsent.append(frame)
        self.wake()

    def take(self) -> bytes:
        """Returns the next frame, or nothing; a defect ends the stream and returns its EXIT."""
        if self._broken:
            return b""
        try:
            return self._unsent.popleft() if self._unsent else self._data()
        except Exception as error:  # noqa: BLE001  # a defect of this one
            return self.fail(error)

    def fail(self, error: Exception) -> bytes:
        """Ends the stream after a defect, without harm to others. Returns its EXIT, the last frame of the
        stream.
        """
        self._broken = True
        self.defect(error)
        self.over = True
        return wire.encode_object(wire.EXIT, self.number, {"error": describe_defect(error)})

    def frame(self, kind: int, body: bytes) -> None:
        """Handles a frame of the gateway. Raises WireError."""
        if kind == wire.STDIN:
            self._may_come.arrived(len(body))
            self._write(body)
        elif kind == wire.CREDIT:
            self._may_send.grant(wire.decode_credit(body))
            self.wake()
        elif kind == wire.EOF:
            self._write_eof()
        elif kind == wire.END:
            self.cut()
        else:
            self._other(kind, body)

    @property
    def done(self) -> bool:
        """True when neither side sends anything more on this stream."""
        return self.over

    def cut(self) -> None:
        """Ends what the stream carries: nobody wants it any more."""
        raise NotImplementedError

    def defect(self, error: Exception) -> None:
        """Ends what the stream carries, which cannot go on after `error`."""
        raise NotImplementedError

    def _data(self) -> bytes:
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        raise NotImplementedError

    def _write_eof(self) -> None:
        raise NotImplementedError

    def _other(self, kind: int, body: bytes) -> None:
        del body
        raise wire.WireError(f"kind {kind} does not belong on this stream")

    def _wrote(self, count: int) -> None:
        grant = self._may_come.used(count)
        if grant:
            self.send(wire.encode_credit(self.number, grant))


class CommandStream(Stream):
    """Sends a command's journal at the link's speed; EXIT follows its last byte."""

    def __init__(self, number: int, credit: Credit, command: Running) -> None:
        super().__init__(number, credit)
        self.command = command
        self._sent = 0
        self._unwanted = False
        self._told = -1  # pids of kubectl; -1: not even that the command has started
        command.changed = self._changed
        command.input.wrote = self._wrote

    def _changed(self) -> None:
        self.wake()

    def _data(self) -> bytes:
        command, journal = self.command, self.command.journal
        if not command.started and command.result is None:
            return b""
        if command.started and self._told < len(command.pids):  # before the lines that bear them
            self._told = len(command.pids)
            return wire.encode_object(wire.STARTED, self.number, self._about())
        news = self._urgent()
        if news:
            return news
        if self._sent < journal.end:
            if self._may_send.left <= 0:
                return b""
            record = journal.read(self._sent, min(wire.FULL, self._may_send.left))
            assert record
            kind, data = record
            self._sent += len(data)
            command.sent = self._sent
            self._may_send.take(len(data))
            self._release()
            return wire.encode(kind, self.number, data)
        if command.result is not None and not self.over:
            self.over = True
            return wire.encode_object(wire.EXIT, self.number, command.result)
        return b""

    def _about(self) -> dict[str, Any]:
        return {**self.command.about, "offset": self._sent}

    def _urgent(self) -> bytes:
        """Returns a frame that goes before more output, or nothing."""
        self._sent = max(self._sent, self.command.journal.start)
        return b""

    def _release(self) -> None:
        """Drops from the journal what the link has taken."""
        self.command.journal.drop(self._sent)

    def cut(self) -> None:
        self._unwanted = True
        try:
            self.command.end()
        except Exception as error:  # noqa: BLE001  # whoever cuts has others to cut
            self.command.defect(error)
        self.wake()

    def defect(self, error: Exception) -> None:
        self._unwanted = True
        self.command.defect(error)
        self.command.journal.discard()

    def _write(self, data: bytes) -> None:
        self.command.write(data)

    def _write_eof(self) -> None:
        self.command.input.write_eof()

    def _other(self, kind: int, body: bytes) -> None:
        if kind == wire.RESIZE:
            self.command.resize(wire.decode_size(body))
        elif kind == wire.SIGNAL:
            name = "SIG" + body.decode("ascii", "replace")
            if name not in signal.Signals.__members__:
                raise wire.WireError("no signal has this name")
            self.command.signal(signal.Signals[name])
        else:
            super()._other(kind, body)
