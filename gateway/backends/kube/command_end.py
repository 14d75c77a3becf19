"""Determines how one command in the runner ended, for every channel: separates kubectl's texts from the command's
stderr and interprets them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from gateway.backends.kube import credentials, kubectl
from gateway.backends.kube.kubectl_stderr import KubectlStderrFilter
from gateway.backends.kube.stdin_stall import StdinStallDetector
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target

Batch = list[tuple[int, bytes]]
Explain = Callable[[Outcome], Outcome]
_TAIL = 4000  # bytes of stderr


class CommandEnd:
    """Interprets stderr, input and exit status of one command. `kubectl`: True if the process in the runner is a
    kubectl that leads to a pod. `explain`: corrects the outcome by what the caller knows.
    """

    def __init__(
        self, target: Target, command: Command, *, kubectl: bool, explain: Explain = lambda outcome: outcome
    ) -> None:
        self.kubectl = kubectl
        self._explain = explain
        self._target = target
        self._command = command
        self._stderr = KubectlStderrFilter() if kubectl and not command.tty else None
        self._tail = b""  # of stderr
        self._stdin = StdinStallDetector()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def outcome(self) -> Outcome | None:
        """Returns the outcome that `exited` or `failed` has set; None while the command runs."""
        return self._outcome.result() if self._outcome.done() else None

    async def wait(self) -> Outcome:
        """Waits until the outcome is set, and returns it. See `Channel.wait`."""
        return await asyncio.shield(self._outcome)

    def started(self, pids: Iterable[int]) -> None:
        """Stores the process ids of kubectl in the runner, by which kubectl's log lines in stderr are recognized."""
        if self._stderr:
            self._stderr.know(pids)

    def input_sent(self, data: bytes) -> None:
        """Records input that is sent to the command."""
        self._stdin.more(data)

    async def read(self, read: Callable[[], Awaitable[Batch]]) -> Batch | None:
        """Calls `read` and returns its batch; None where that batch is empty, the end of the output. Returns an empty
        batch when held stderr is due for `release`.
        """
        return await self._stderr.awaited(read) if self._stderr else await read() or None

    def stderr(self, data: bytes) -> bytes:
        """Takes stderr and returns the bytes that are surely the command's; holds back what may be kubectl's text."""
        self._tail = (self._tail + data)[-_TAIL:]
        return self._stderr.feed(data) if self._stderr else data

    def release(self) -> bytes:
        """Returns the held stderr, as the command's, up to a line about the exit code. Call when `read` returned an
        empty batch.
        """
        return self._stderr.release() if self._stderr else b""

    def exited(self, code: int, words: bytes) -> bytes:
        """Sets the outcome of a command that exited with `code`, as a shell gives the code, and returns the command's
        stderr that was still held. `words`: with a terminal, what kubectl itself wrote to stderr; without,
        what is known to be a credential plugin's.
        """
        held, last = self._stderr.end(code) if self._stderr else (b"", b"")
        # where the plugin's words could not be told from the command's, these are the last that came
        words = words + last if words or not credentials.refused(last) else self._tail
        outcome = ended(code)
        if self.kubectl:
            outcome = self._stdin.explain(kubectl.explain(code, words, self._target, self._command))
        self._outcome.set_result(self._explain(outcome))
        return held

    def refused(self, why: str, words: bytes) -> bytes:
        """Sets the outcome runner_credentials, as `failed` does. `words`: with a terminal, what a plugin wrote to stderr."""
        return self.failed(credentials.no_credentials(why, words or self._tail))

    def failed(self, outcome: Outcome) -> bytes:
        """Sets the outcome of a command that did not run to its end; returns the stderr that was still held."""
        held = self._stderr.end(-1)[0] if self._stderr else b""
        self._outcome.set_result(self._explain(outcome))
        return held

    def missing(self) -> Outcome:
        """Returns the outcome for a command whose program is missing in the runner; leaves `outcome` as it is."""
        if self.kubectl:
            return Outcome("kubectl_missing", kubectl.MISSING)
        return Outcome("start_failed", f"the runner has no program {self._command.argv[0]!a}")
