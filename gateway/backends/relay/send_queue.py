"""Queues what a link sends while its process is full: in order, and of each state only the newest frame."""

from collections import OrderedDict

from gateway.backends.process import Process
from gateway.relay import wire

MOST = 16 << 20  # bytes without credit that may wait: four requests of the greatest length
_KEY = 5  # bytes at a frame's beginning: its kind and stream
_NEWEST = (wire.RESIZE, wire.SEEN, wire.NOTE, wire.SKIP)  # a later frame replaces an earlier one


class SendQueue:
    """Sends frames to a process, and queues them while the process is full. `most`: bytes that may wait, apart from
    STDIN, which credit bounds.
    """

    def __init__(self, process: Process, most: int = MOST) -> None:
        self._process = process
        self._most = most
        self._waiting: OrderedDict[bytes | int, bytes] = OrderedDict()
        self._count = 0
        self._size = 0  # bytes of _waiting that needed no credit
        process.on_drained(self._flush)

    @property
    def overfull(self) -> bool:
        """Returns True if more than `most` bytes without credit wait."""
        return self._size > self._most

    def send(self, frames: bytes) -> None:
        """Sends one frame, or the frames of one request; queues them while the process is full or others wait. A
        frame of RESIZE, SEEN, NOTE or SKIP replaces a queued one of its kind and stream.
        """
        if not (self._process.full or self._waiting):
            self._process.send(frames)
            return
        self._count += 1
        key = frames[:_KEY] if frames[0] in _NEWEST else self._count
        self._size += _uncredited(frames) - _uncredited(self._waiting.pop(key, b""))
        self._waiting[key] = frames

    def _flush(self) -> None:
        while self._waiting and not self._process.full:
            frames = self._waiting.popitem(last=False)[1]
            self._size -= _uncredited(frames)
            self._process.send(frames)


def _uncredited(frames: bytes) -> int:
    """Returns the length of frames that need no credit; 0 for STDIN, which needs it."""
    return len(frames) if frames[:1] != bytes([wire.STDIN]) else 0
