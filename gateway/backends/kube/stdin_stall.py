"""How much input kubectl was given, and what that makes of its end.

What the command does not read waits in the sockets behind kubectl, some 8 MiB of it. With more, the API server stops
reading from kubectl, answers no ping, and kubectl gives up after 61 s with the words of a connection that is silent
(client-go, tools/remotecommand/websocket.go). Nobody says which of the two it was; much input just before does.
"""

import time
from collections.abc import Callable

from gateway.protocol.outcome import Outcome

MUCH = 4 << 20  # bytes; less than this waits well
_RECENT = 90.0  # seconds from the last input until kubectl, which waits for 61, has given up
_GAVE_UP = "i/o timeout"


class StdinStallDetector:
    """One session's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bytes = 0
        self._last = float("-inf")

    def more(self, data: bytes) -> None:
        """Input that is being given. What was given long before it, the command has read."""
        now = self._clock()
        self._bytes = len(data) + (self._bytes if now - self._last <= _RECENT else 0)
        self._last = now

    def explain(self, outcome: Outcome) -> Outcome:
        """What kubectl's end means, now that it is known what it was given."""
        if outcome.code != "cluster_lost" or _GAVE_UP not in outcome.message:
            return outcome
        if self._bytes < MUCH or self._clock() - self._last > _RECENT:
            return outcome
        said = f"kubectl gave up: for a minute the command read nothing, it seems, of {self._bytes} bytes of input"
        return Outcome("stdin_stalled", said)
