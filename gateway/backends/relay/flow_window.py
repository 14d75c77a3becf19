"""Computes how many bytes may be in flight on a stream: what the path needs to stay full, and a little more.

Bytes in flight delay the keystrokes of other sessions, so the window is small while other streams are active. But a
round trip of 50 ms with 64 KiB in flight gives 1.3 MB/s, and every grant of credit wakes five processes on the path.
"""

import math

from gateway.relay import wire

MOST = 4 << 20  # bytes
_INTERVAL = 0.02  # seconds over which a rate is measured, at least
_SHARED = 0.25  # the same while other streams are active, which a burst of this one would delay
_SLACK = 0.001  # seconds of delay that a transfer may cause other streams
_SLOW = 6e6  # bytes a second up to which a stream beside others may have one frame alone in flight
_ALONE = 0.030  # the same while no other stream is active: with 10 ms the path is empty now and then
_COMPANY = 1.0  # seconds for which a change from one stream to another counts
_EXCHANGE = 0.1  # seconds within which turns are one request and its answer, or a key and its echo
_PROBE = 1.25  # factor on the round trip: shows whether more in flight is faster
_FORGET = 0.95  # factor on the best rate after each interval
_FORGET_SHARED = 0.5  # the same while other streams are active


class FlowWindow:
    """Computes the window of one stream from its rate and the link's round trip: from `floor`, or one frame beside other
    streams, to MOST bytes. A window holds full frames: a part of one costs every program on the way as much.
    """

    def __init__(self, floor: int = wire.WINDOW) -> None:
        self._floor = floor // wire.FULL * wire.FULL or floor
        self._rate = 0.0
        self._count = 0
        self._since: float | None = None

    def window(self, count: int, rtt: float, now: float, *, alone: bool) -> int:
        """Counts `count` bytes that have come `now`, and returns the window in bytes. `rtt`: the link's shortest
        round trip in seconds; `alone`: no other stream of the link is active.
        """
        if self._since is None:
            self._since = now
        self._count += count
        passed = now - self._since
        interval, forget = (_INTERVAL, _FORGET) if alone else (_SHARED, _FORGET_SHARED)
        if passed >= max(interval, 2 * rtt):
            self._rate = max(self._count / passed, self._rate * forget)
            self._count, self._since = 0, now
        slack = _ALONE if alone else _SLACK
        floor = self._floor if alone or self._rate > _SLOW else min(self._floor, wire.FULL)
        size = max(self._rate * (_PROBE * rtt + slack), floor)
        return min(math.ceil(size / wire.FULL) * wire.FULL if size > wire.FULL else int(size), MOST)

    def step(self, size: int, rtt: float) -> int:
        """Returns how many bytes of a window of `size` are used before more are granted: a quarter, or up to half, as far as
        the rest keeps the path full.
        """
        spare = int(size - self._rate * _PROBE * rtt)
        return max(size // 4, min(size // 2, spare))


class InputWindow:
    """Bounds the input of one stream that is in flight: to what the path needs while no other stream is active, else to
    WINDOW. `most`: bytes that the relay takes ahead of what it has used.
    """

    def __init__(self, most: int = wire.INPUT) -> None:
        self._most = most
        self._may_send = wire.Allowance(most)
        self._pace = FlowWindow(wire.INPUT)
        self._size = wire.INPUT

    @classmethod
    def attached(cls, most: int) -> "InputWindow":
        """Returns the window of an attach: the relay grants the first credit of it, too."""
        found = cls(most)
        found._may_send.take(most)
        return found

    def room(self, *, alone: bool) -> int:
        """Returns how many bytes may be sent now. `alone`: no other stream of the link is active."""
        in_flight = self._most - self._may_send.left
        return min(self._size if alone else wire.WINDOW, self._most) - in_flight

    def take(self, count: int) -> None:
        """Counts bytes that are sent."""
        self._may_send.take(count)

    def grant(self, count: int) -> None:
        """Adds credit from the relay. Raises WireError above MOST."""
        self._may_send.grant(count)

    def used(self, count: int, rtt: float, now: float) -> None:
        """Adds credit for bytes that the relay has used `now`, and adapts the window to their rate. `rtt`: see `FlowWindow`."""
        self.grant(count)
        self._size = self._pace.window(count, rtt, now, alone=True)


class ActivityTracker:
    """Tracks whether more than one stream of a link is active. Times are in seconds."""

    def __init__(self) -> None:
        self._last = 0  # the stream that was heard last
        self._at = 0.0  # when
        self._again = False  # it had been heard before another one was, less than a second ago
        self._left: dict[int, float] = {}  # when each of the others was heard last
        self._began = float("-inf")  # when the first of the present turns was
        self._mixed = float("-inf")  # when the last one of streams in company was

    def heard(self, stream: int, now: float) -> None:
        """Records that the stream has received bytes, or has bytes to send. Streams that go on taking turns have company; a
        stream that begins behind another one, as a download behind the request that led to it, has none, nor has one that
        another one breaks into once, with its end, or with a single request and its answer.
        """
        if stream != self._last:
            again = now - self._left.pop(stream, float("-inf")) <= _COMPANY
            if again and self._again:
                self._take_turns(now)
            self._again = again
            self._left[self._last] = self._at
            self._last = stream
        self._at = now

    def _take_turns(self, now: float) -> None:
        if not self.alone(now) or _EXCHANGE <= now - self._began <= _COMPANY:
            self._mixed = now
        elif now - self._began > _COMPANY:
            self._began = now

    def forget(self, stream: int) -> None:
        """Forgets a stream that has ended."""
        self._left.pop(stream, None)
        if stream == self._last:
            self._last = 0  # a number that no stream has

    def alone(self, now: float) -> bool:
        """Returns True if for more than a second no two streams have taken turns."""
        return now - self._mixed > _COMPANY
