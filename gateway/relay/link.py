"""Carries one link to the gateway: two descriptors, frames in and out, and the lease that its silence ends."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import wire
from .loop import Loop, OwnLoop, describe_defect
from .stream import Stream

FILL = 65536  # bytes made ready for the descriptor at a time
_READ = 65536
_BULK = _READ // 4  # bytes of a read that more will follow, as it will a part of a frame
_REST = 0.0005  # seconds until the next read then: incusd may hand on a frame in ten pieces and more


class Link:
    """Carries `streams`, by number, over two descriptors. `opened` makes a stream from a request; `lost` is
    called once, with the reason.
    """

    def __init__(
        self,
        loop: Loop,
        fds: tuple[int, int],
        opened: Callable[[Link, int, dict[str, Any]], None],
        lost: Callable[[Link, str], None],
        lease: float = wire.LEASE,
    ) -> None:
        self.streams: dict[int, Stream] = {}
        self.live = True
        self._loop = OwnLoop(loop, self.defect)
        self._in, self._out = fds
        self._opened = opened
        self._lost = lost
        self._lease = lease
        self._heard = time.monotonic()
        self._decoder = wire.Decoder()
        self._requests: dict[int, bytes] = {}
        self._buffer = b""
        self._urgent: deque[bytes] = deque()
        self._ready: deque[Stream] = deque()
        self._waiting: set[Stream] = set()  # those in _ready
        for fd in fds:
            os.set_blocking(fd, False)
            os.set_inheritable(fd, False)
        self._loop.readable(self._in, self._read)
        self._loop.later(lease / 4, self._check_lease)

    def send(self, frame: bytes) -> None:
        """Queues a frame ahead of every stream's."""
        self._urgent.append(frame)

    def add(self, stream: Stream) -> None:
        """Takes on a stream: its frames go over this link from now on."""
        self.streams[stream.number] = stream
        stream.wake = lambda: self._wake(stream)
        self._wake(stream)

    def let_go(self, stream: Stream) -> None:
        """Sends nothing of a stream of this link any more, since another one has its command."""
        del self.streams[stream.number]
        stream.wake = lambda: None
        if stream in self._waiting:
            self._waiting.remove(stream)
            self._ready.remove(stream)

    def flush(self) -> None:
        """Writes what is ready, as far as the descriptor takes it; closes the link when writing fails. Called
        once in each turn of the loop.
        """
        while self.live:
            if not self._buffer:
                self._buffer = self._fill()
            if not self._buffer:
                self._loop.writable(self._out, None)
                return
            try:
                count = os.write(self._out, self._buffer)
            except BlockingIOError:
                count = 0
            except OSError as error:
                self.close(f"the link cannot be written: {error.strerror}")
                return
            self._buffer = self._buffer[count:]
            if self._buffer:
                self._loop.writable(self._out, self.flush)
                return

    def defect(self, error: Exception) -> None:
        """Closes the link because a call of its own raised; the daemon goes on."""
        self.close(describe_defect(error))

    def close(self, reason: str) -> None:
        """Ends the link: sends what is urgent and BYE with the reason if the descriptor takes it, closes both
        descriptors and calls `lost`. What becomes of the streams is the daemon's business.
        """
        if not self.live:
            return
        self.live = False
        bye = wire.encode_object(wire.BYE, 0, {"reason": reason})
        with suppress(OSError):
            os.write(self._out, b"".join((self._buffer, *self._urgent, bye)))
        for fd in {self._in, self._out}:
            with suppress(OSError):
                self._loop.close(fd)
        for stream in self.streams.values():
            stream.wake = lambda: None
        self._lost(self, reason)

    def _wake(self, stream: Stream) -> None:
        """Queues a stream that was quiet ahead of the others: a key's echo is not kept behind another
        session's bulk.
        """
        if stream not in self._waiting:
            self._waiting.add(stream)
            self._ready.appendleft(stream)

    def _fill(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while self._ready and size < FILL:
            stream = self._ready.popleft()
            frame = stream.take()
            if frame:
                parts.append(frame)
                size += len(frame)
                self._ready.append(stream)
                continue
            self._waiting.discard(stream)
            if stream.done:
                self.streams.pop(stream.number, None)
        parts[:0] = self._urgent  # last, so that a defect of a stream leaves them to `close`
        self._urgent.clear()
        return b"".join(parts)

    def _read(self) -> None:
        try:
            data = os.read(self._in, _READ)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(f"the link cannot be read: {error.strerror}")
            return
        if not data:
            self.close("the gateway closed the link")
            return
        self._heard = time.monotonic()
        try:
            for frame in joined(self._decoder.feed(data)):
                self._frame(*frame)
        except wire.WireError as error:
            self.close(f"broken rule: {error}")
        # each piece of bulk costs every program behind this one as much as a large one
        if self.live and len(data) < _READ and (self._decoder.unfinished or len(data) > _BULK):
            self._loop.pause(self._in, _REST)

    def _frame(self, kind: int, number: int, body: bytes) -> None:
        if kind == wire.PING:
            self.send(wire.encode(wire.PONG, 0, body))
        elif kind in (wire.PART, wire.OPEN):
            self._request(kind, number, body)
        elif number in self.streams:
            self._guard(number, self.streams[number].frame, kind, body)
        # else: sent before the gateway knew of the stream's end

    def _request(self, kind: int, number: int, body: bytes) -> None:
        text = self._requests.pop(number, b"") + body
        if number == 0 or number in self.streams:
            raise wire.WireError(f"stream {number} is open already, or 0")
        if len(text) > wire.REQUEST:
            raise wire.WireError(f"a request is longer than {wire.REQUEST} bytes")
        if kind == wire.PART:
            self._requests[number] = text
        else:
            self._guard(number, self._opened, self, number, wire.decode_object(text))

    def _guard(self, number: int, call: Callable[..., None], *arguments: Any) -> None:
        """Calls `call`; an exception of it ends this stream alone, with EXIT, but a WireError is raised."""
        try:
            call(*arguments)
        except wire.WireError:
            raise
        except Exception as error:  # noqa: BLE001  # it is told
            about = wire.encode_object(wire.EXIT, number, {"error": describe_defect(error)})
            self.send(self.streams[number].fail(error) if number in self.streams else about)

    def _check_lease(self) -> None:
        if not self.live:
            return
        if time.monotonic() - self._heard > self._lease:
            self.close(f"no word from the gateway for {self._lease:g} s")
        else:
            self._loop.later(self._lease / 4, self._check_lease)


def joined(frames: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Returns the frames with input of one stream that came in several joined: each part of it wakes whoever reads it."""
    found: list[tuple[int, int, bytes]] = []
    for kind, stream, body in frames:
        before = b""
        if kind == wire.STDIN and found and found[-1][:2] == (kind, stream):
            before = found.pop()[2]
        found.append((kind, stream, before + body))
    return found
