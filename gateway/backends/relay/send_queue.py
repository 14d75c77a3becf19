"""Queues what a link sends while its process is full: in order, and of each state only the newest frame."""

import asyncio
from collections import OrderedDict

from gateway.backends.process import Process
from gateway.relay import wire

MOST = 16 << 20  # bytes without credit that may wait: four requests of the greatest length
_BATCH = 32 << 10  # bytes from which on frames are not joined any more: a packet of SSH
_KEY = 5  # bytes at a frame's beginning: its kind and stream
_NEWEST = (wire.RESIZE, wire.SEEN, wire.NOTE, wire.SKIP)  # a later frame replaces an earlier one


class SendQueue:
    """Sends frames to a process, those of one turn of the event loop together, and queues them while the process is full.
    `most`: bytes that may wait, apart from STDIN, which credit bounds.
    """

    def __init__(self, process: Process, most: int = MOST) -> None:
        self._process = process
        self._most = most
        self._waiting: OrderedDict[bytes | int, bytes] = OrderedDict()
        self._count = 0
        self._size = 0  # bytes of _waiting that needed no credit
        self._due = False  # `flush` is called at the end of this turn
        process.on_drained(self.flush)

    @property
    def overfull(self) -> bool:
        """Returns True if more than `most` bytes without credit wait."""
        return self._size > self._most

    def send(self, frames: bytes) -> None:
        """Sends one frame, or the frames of one request, at the end of this turn of the event loop; later while the
        process is full. A frame of RESIZE, SEEN, NOTE or SKIP replaces a queued one of its kind and stream.
        """
        if not (self._due or self._waiting):
            self._due = True
            asyncio.get_running_loop().call_soon(self.flush)
        self._count += 1
        key = frames[:_KEY] if frames[0] in _NEWEST else self._count
        self._size += _uncredited(frames) - _uncredited(self._waiting.pop(key, b""))
        self._waiting[key] = frames

    def flush(self) -> None:
        """Sends what waits, as far as the process takes it: many small frames as one write, which wakes each program on
        the way once.
        """
        self._due = False
        while self._waiting and not self._process.full:
            batch, size = [], 0
            while self._waiting and size < _BATCH:
                frames = self._waiting.popitem(last=False)[1]
                self._size -= _uncredited(frames)
                batch.append(frames)
                size += len(frames)
            self._process.send(b"".join(batch))


def _uncredited(frames: bytes) -> int:
    """Returns the length of frames that need no credit; 0 for STDIN, which needs it."""
    return len(frames) if frames[:1] != bytes([wire.STDIN]) else 0
