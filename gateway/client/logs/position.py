"""Remembers how far a container's log was read, so that what is read again is told apart from what is new."""

from datetime import UTC, datetime

SLACK = (
    2 * 10**9
)  # nanoseconds by which lines may stand out of order: stdout and stderr are stamped side by side
_PRUNE = 4096  # lines between two looks at what can be forgotten
_SECOND = 10**9


class Position:
    """Holds the times of the last lines that were taken, each with how many lines had that time.

    A log can be asked for from a whole second on, and its times are no numbers of lines: several have the same time, and
    some stand out of order. So what was taken is counted by its time, and of a log that is read again as many lines of each
    time are left out.
    """

    def __init__(self) -> None:
        self._first = 0
        self._last = 0  # the greatest time that was taken
        self._taken: dict[int, int] = {}
        self._again: dict[int, int] = {}  # of `_taken`, what has not come again since `begin`
        self._floor = 0  # lines before that were taken, or not wanted
        self._new = 0
        self._in_run = False  # a line of this run of the container was taken
        self._expected = False
        self.repeated = 0  # lines that have come again since `begin`

    @property
    def since(self) -> str:
        """Returns the second from which the log has to be read again, in RFC 3339; empty for all of the log."""
        at = max(self._last - SLACK, self._floor)
        return datetime.fromtimestamp(at // _SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at > 0 else ""

    def skip_before(self, time: int) -> None:
        """Has lines before `time` left out, none of which was taken."""
        self._floor = max(self._floor, time)

    def skip_earlier(self) -> None:
        """Has lines before the first one that was taken left out: they are in front of the wanted part of the log."""
        self.skip_before(self._first)

    def begin(self) -> None:
        """Begins to read the log again, from `since` on."""
        self._floor = max(self._floor, (self._last - SLACK) // _SECOND * _SECOND)
        self._again = {time: count for time, count in self._taken.items() if time >= self._floor}
        self._taken = dict(self._again)
        self._expected, self.repeated = self._in_run, 0

    def new_run(self) -> None:
        """Has none of what was taken be expected again: the container was restarted, with a log of its own."""
        self._in_run = False

    @property
    def missing(self) -> bool:
        """Returns True if lines that were taken are in the log no more: none has come again, and others have come."""
        return self._expected and not self.repeated

    def knows(self, time: int) -> bool:
        """Returns True if a line of that time was taken, or is too old to be told."""
        return time in self._taken or time < max(self._last - SLACK, self._floor)

    def take(self, time: int) -> bool:
        """Returns True for a line that is new, and remembers the line. A line without a time (0) is always new."""
        if not time:
            return True
        if count := self._again.get(time, 0):
            self._again[time] = count - 1
            self.repeated += 1
            return False
        if time < self._floor:
            return False
        self._taken[time] = self._taken.get(time, 0) + 1
        self._first, self._in_run = self._first or time, True
        self._last = max(self._last, time)
        self._new += 1
        if self._new % _PRUNE == 0:
            oldest = (self._last - SLACK) // _SECOND * _SECOND
            self._taken = {time: count for time, count in self._taken.items() if time >= oldest}
        return True
