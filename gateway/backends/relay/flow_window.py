"""How much may be in flight on a stream: what the way needs to stay full, and a little more.

All in flight stands before other sessions' keys, so it is little while others talk; but a way of 50 ms that has only
64 KiB in flight gives 1.3 MB/s, and every grant of credit wakes five processes on the way.
"""

from gateway.relay import wire

MOST = 4 << 20  # bytes
_INTERVAL = 0.02  # seconds over which a rate is taken, at least
_SLACK = 0.001  # seconds of waiting that a transfer may cause others
_ALONE = 0.010  # the same while no other stream talks
_COMPANY = 1.0  # seconds that another's word counts
_PROBE = 1.25  # finds out whether more in flight makes it faster
_FORGET = 0.95  # of the best rate, each interval


class FlowWindow:
    """One stream's. `rtt`: the shortest time there and back that the link has seen, in seconds."""

    def __init__(self, floor: int = wire.WINDOW) -> None:
        self._floor = floor
        self._rate = 0.0
        self._count = 0
        self._since: float | None = None

    def window(self, count: int, rtt: float, now: float, *, alone: bool) -> int:
        """Bytes, when `count` more have come `now`."""
        if self._since is None:
            self._since = now
        self._count += count
        passed = now - self._since
        if passed >= max(_INTERVAL, 2 * rtt):
            self._rate = max(self._count / passed, self._rate * _FORGET)
            self._count, self._since = 0, now
        slack = _ALONE if alone else _SLACK
        return int(min(max(self._rate * (_PROBE * rtt + slack), self._floor), MOST))


class ActivityTracker:
    """Whether more than one stream of a link talks."""

    def __init__(self) -> None:
        self._last = 0
        self._mixed = float("-inf")

    def heard(self, stream: int, now: float) -> None:
        """Bytes came or went on this stream."""
        if stream != self._last:
            self._mixed, self._last = now, stream

    def alone(self, now: float) -> bool:
        """Nobody else has talked for a while."""
        return now - self._mixed > _COMPANY
