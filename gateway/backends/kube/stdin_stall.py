"""Detects that kubectl gave up because the command did not read its input.

Input that the command does not read fills the sockets behind kubectl, some 8 MiB. Then the API server stops reading
from kubectl and answers no ping, and kubectl gives up after 61 s with the error of a silent connection (client-go,
tools/remotecommand/websocket.go). The error is the same in both cases; much input shortly before tells them apart.
"""

import time
from collections.abc import Callable

from gateway.protocol.outcome import Outcome

MUCH = 4 << 20  # bytes of input that can stall kubectl; the sockets hold less than this
_RECENT = 90.0  # seconds from the last input until kubectl, which waits for 61, has given up
_GAVE_UP = "i/o timeout"


class StdinStallDetector:
    """Counts one session's input and corrects the outcome of a kubectl that stalled on the input."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bytes = 0
        self._last = float("-inf")

    def more(self, data: bytes) -> None:
        """Counts `data` as input that is sent now. Forgets earlier input after a pause of _RECENT seconds: the
        command has read that input.
        """
        now = self._clock()
        self._bytes = len(data) + (self._bytes if now - self._last <= _RECENT else 0)
        self._last = now

    def explain(self, outcome: Outcome) -> Outcome:
        """Returns a stdin_stalled outcome in place of a cluster_lost that is an i/o timeout soon after much input;
        every other `outcome` as it is.
        """
        if outcome.code != "cluster_lost" or _GAVE_UP not in outcome.message:
            return outcome
        if self._bytes < MUCH or self._clock() - self._last > _RECENT:
            return outcome
        message = f"kubectl gave up: the command seems to have read none of {self._bytes} bytes of input for a minute"
        return Outcome("stdin_stalled", message)
