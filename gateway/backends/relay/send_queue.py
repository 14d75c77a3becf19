"""What a link sends, while the way takes nothing: in order, and of each state only the newest."""

from collections import OrderedDict

from gateway.backends.process import Process
from gateway.relay import wire

MOST = 16 << 20  # bytes without credit that may wait; four requests of the longest kind
_KEY = 5  # bytes: a frame's kind and stream
_NEWEST = (wire.RESIZE, wire.SEEN, wire.NOTE, wire.SKIP)  # a later frame says all that an earlier one said


class SendQueue:
    """Sends frames to a process; frames wait here while the process is full. `most`: bytes without credit that may wait."""

    def __init__(self, process: Process, most: int = MOST) -> None:
        self._process = process
        self._most = most
        self._waiting: OrderedDict[bytes | int, bytes] = OrderedDict()
        self._count = 0
        self._size = 0  # bytes of _waiting that needed no credit
        process.on_drained(self._flush)

    @property
    def overfull(self) -> bool:
        """True if more waits than credit and `most` allow."""
        return self._size > self._most

    def send(self, frames: bytes) -> None:
        """Sends one frame, or the frames of one request; they wait their turn where others wait."""
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
    """Returns how many of the bytes no credit bounds."""
    return len(frames) if frames[:1] != bytes([wire.STDIN]) else 0
