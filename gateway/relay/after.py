"""What is to be done once a command's session is over, whatever became of the link and of the gateway."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from . import wire
from .command import Command, Request
from .journal import Journal
from .loop import Loop, OwnLoop, words

TRY = 20.0  # seconds that one run of an argv may take
ALL = 60.0  # seconds for all of one session's
PAUSE = 3.0  # seconds before it is tried again, and twice that before the last time
TRIES = 3
AT_ONCE = 8  # others wait: a lost link ends many sessions in one moment
_KEPT = 16384  # bytes of output; more ends the run
_TOLD = 600  # bytes of it that are told, of each stream: all of it fits one frame
_MOST = 4  # argvs of one command


class After:
    """The fields `after`, `after_if` and `after_tag` of a request. Raises WireError."""

    def __init__(self, given: dict[str, Any]) -> None:
        argvs, only, tag = given["after"], given.get("after_if"), given.get("after_tag", "")
        if not isinstance(argvs, list) or not 0 < len(argvs) <= _MOST:
            raise wire.WireError(f"after is a list of 1 to {_MOST} argvs")
        if only not in (None, "ended") or not isinstance(tag, str) or len(tag) > 256:
            raise wire.WireError('after_if is "ended", after_tag a short string')
        self.requests = [Request({"argv": argv}) for argv in argvs]
        self.tag = tag
        self._only = only == "ended"

    def due(self, command: Command) -> bool:
        """Whether the end of this command, which is there, is one that it is for."""
        result = command.result or {}
        return command.started and (not self._only or command.ending or "signal" in result)


class Afters:
    """Runs them, a few at a time. `tell` says to the gateway how one went, and returns whether there is one. A gateway
    that hears of a failure decides itself what to do; without one it is tried again here. What tells of no further try
    is kept for the next link.
    """

    def __init__(
        self,
        loop: Loop,
        start: Callable[[Command, Request], None],
        tell: Callable[..., bool],
    ) -> None:
        self._loop = loop
        self._start = start
        self._tell = tell
        self._waiting: deque[After] = deque()
        self._running = 0

    @property
    def busy(self) -> bool:
        """Something is still to be done."""
        return bool(self._running or self._waiting)

    def add(self, after: After) -> None:
        """Its turn comes."""
        self._waiting.append(after)
        self._next()

    def _next(self) -> None:
        while self._waiting and self._running < AT_ONCE:
            self._running += 1
            _Turn(self._loop, self._waiting.popleft(), self._start, self._over).run()

    def _over(self, after: After, results: list[dict[str, Any]], *, last: bool) -> bool:
        """Yes: that was all. No: it is worth another try."""
        last = last or all(result.get("code") == 0 for result in results)
        if not self._tell({"tag": after.tag, "results": results}, keep=last) and not last:
            return False
        self._running -= 1
        self._loop.later(0, self._next)
        return True


class _Turn:
    """One session's: each argv once, and those that failed again, while nobody hears of it."""

    def __init__(
        self, loop: Loop, after: After, start: Callable[[Command, Request], None], over: Callable[..., bool]
    ) -> None:
        self._loop = loop
        self._own = OwnLoop(loop, self._defect)
        self._after = after
        self._start = start
        self._over = over
        self._end = time.monotonic() + ALL
        self._results: list[dict[str, Any]] = [{} for _ in after.requests]
        self._tries = 0

    def run(self, number: int = 0) -> None:
        if number == len(self._results):
            self._tries += 1
            pause = PAUSE * self._tries
            last = self._tries == TRIES or time.monotonic() + pause > self._end
            if not self._over(self._after, self._results, last=last):
                self._own.later(pause, self.run)
        elif self._results[number].get("code") == 0:
            self.run(number + 1)
        else:
            self._run(number)

    def _defect(self, error: Exception) -> None:
        """The next one's turn comes all the same."""
        self._over(self._after, [{"error": words(error)}], last=True)

    def _run(self, number: int) -> None:
        command = Command(self._loop, Journal(_KEPT, _KEPT))
        limit = max(0.0, min(TRY, self._end - time.monotonic()))
        timer = self._own.later(limit, command.end)

        def over() -> None:
            timer.cancel()
            self._results[number] = {**(command.result or {}), **_said(command.journal)}
            self._own.later(0, lambda: self.run(number + 1))

        command.over = over
        self._start(command, self._after.requests[number])
        command.write_eof()


def _said(journal: Journal) -> dict[str, str]:
    said = {wire.STDOUT: b"", wire.STDERR: b""}
    offset = journal.start
    while True:
        record = journal.read(offset)
        if record is None:
            return {
                "out": said[wire.STDOUT].decode("utf-8", "replace"),
                "words": said[wire.STDERR].decode("utf-8", "replace"),
            }
        said[record[0]] = (said[record[0]] + record[1])[-_TOLD:]
        offset += len(record[1])
