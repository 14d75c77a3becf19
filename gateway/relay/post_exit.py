"""Runs commands once a session's command is over, whatever became of the link and of the gateway."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import wire
from .journal import Journal
from .loop import Loop, OwnLoop, describe_defect
from .remote_request import RemoteRequest
from .request import Request
from .running import Running

TRY = 20.0  # seconds that one run of an argv may take
ALL = 60.0  # seconds for all of one session's
PAUSES = (2.0, 6.0, 18.0)  # seconds before what has failed is tried again: a hop may be on its way back
AT_ONCE = 8  # others wait: a lost link ends many sessions in one moment
_OUTPUT_LIMIT = 16384  # bytes of output; more ends the run
_OUTPUT_TAIL = 600  # bytes of it that are told, of each stream: all of it fits one frame
_MOST = 4  # argvs of one command


if TYPE_CHECKING:
    AnyRequest = Request | RemoteRequest
    Make = Callable[
        [AnyRequest, Journal], tuple[Running, Callable[[], None]]
    ]  # a command, and what starts it


class PostExit:
    """Checks and holds the fields `after`, `after_if` and `after_tag` of a request. Raises WireError."""

    def __init__(self, given: dict[str, Any]) -> None:
        argvs, only, tag = given["after"], given.get("after_if"), given.get("after_tag", "")
        if not isinstance(argvs, list) or not 0 < len(argvs) <= _MOST:
            raise wire.WireError(f"after is a list of 1 to {_MOST} argvs or requests")
        if only not in (None, "ended") or not isinstance(tag, str) or len(tag) > 256:
            raise wire.WireError('after_if is "ended", after_tag a short string')
        self.requests = [_request(one) for one in argvs]
        self.tag = tag
        self._only = only == "ended"

    def due(self, command: Running) -> bool:
        """True if the finished command is one that these post-exit commands wait for."""
        return command.started and (not self._only or command.cut)


class PostExits:
    """Runs post-exit commands, of a few sessions at a time, and those that fail again later. `report` is
    called in the end with the results of a session.
    """

    def __init__(
        self,
        loop: Loop,
        make: Make,
        report: Callable[[dict[str, Any]], None],
    ) -> None:
        self._loop = loop
        self._make = make
        self._report = report
        self._waiting: deque[_Turn] = deque()
        self._left = 0  # of those that were added
        self._running = 0

    @property
    def busy(self) -> bool:
        """True while any post-exit command waits, runs or is to be retried."""
        return self._left > 0

    def add(self, after: PostExit) -> None:
        """Queues the post-exit commands of one session; they run when fewer than AT_ONCE sessions have
        theirs.
        """
        self._left += 1
        self._again(_Turn(self._loop, after, self._make, self._over))

    def _again(self, turn: _Turn) -> None:
        self._waiting.append(turn)
        self._next()

    def _next(self) -> None:
        while self._waiting and self._running < AT_ONCE:
            self._running += 1
            self._waiting.popleft().run()

    def _over(self, turn: _Turn) -> None:
        self._running -= 1
        pause = turn.pause
        if pause is None:
            self._left -= 1
            self._report({"tag": turn.after.tag, "results": turn.results})
        else:
            self._loop.later(pause, lambda: self._again(turn))
        self._loop.later(0, self._next)


class _Turn:
    """Runs the post-exit commands of one session: each argv once, and in the next run those that have failed.
    `over` is called after each run.
    """

    def __init__(
        self,
        loop: Loop,
        after: PostExit,
        make: Make,
        over: Callable[[_Turn], None],
    ) -> None:
        self.after = after
        self.results: list[dict[str, Any]] = [{} for _ in after.requests]
        self._loop = loop
        self._own = OwnLoop(loop, self._defect)
        self._make = make
        self._over = over
        self._pauses = list(PAUSES)
        self._end = 0.0

    @property
    def pause(self) -> float | None:
        """Returns the seconds until the next run, and uses them up; None when all have succeeded, no retry is
        left, or the next run would be after the session's time.
        """
        if not self._pauses or all(result.get("code") == 0 for result in self.results):
            return None
        pause = self._pauses.pop(0)
        return pause if time.monotonic() + pause < self._end else None

    def run(self) -> None:
        self._end = self._end or time.monotonic() + ALL
        self._run(0)

    def _run(self, number: int) -> None:
        if number == len(self.results):
            self._over(self)
            return
        if self.results[number].get("code") == 0:
            self._run(number + 1)
            return
        command, start = self._make(self.after.requests[number], Journal(_OUTPUT_LIMIT, _OUTPUT_LIMIT))
        timer = self._own.later(max(0.0, min(TRY, self._end - time.monotonic())), command.end)

        def over() -> None:
            timer.cancel()
            self.results[number] = {**(command.result or {}), **_outputs(command.journal)}
            self._own.later(0, lambda: self._run(number + 1))

        command.over = over
        start()
        command.input.write_eof()

    def _defect(self, error: Exception) -> None:
        """Records the defect as the only result and gives up, so that the next session has its turn."""
        self.results = [{"error": describe_defect(error)}]
        self._pauses = []
        self._over(self)


def _request(given: object) -> AnyRequest:
    """Returns what to run: an argv, or a request for a remote command."""
    return RemoteRequest(given) if isinstance(given, dict) and "exec" in given else Request({"argv": given})


def _outputs(journal: Journal) -> dict[str, str]:
    said = {wire.STDOUT: b"", wire.STDERR: b""}
    offset = journal.start
    while True:
        record = journal.read(offset)
        if record is None:
            return {
                "out": said[wire.STDOUT].decode("utf-8", "replace"),
                "words": said[wire.STDERR].decode("utf-8", "replace"),
            }
        said[record[0]] = (said[record[0]] + record[1])[-_OUTPUT_TAIL:]
        offset += len(record[1])
