"""How one command in the runner ends, for every channel: kubectl's words are told from the command's, and explained."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.backends.kube import kubectl
from gateway.backends.kube.kubectl_stderr import KubectlStderrFilter
from gateway.backends.kube.stdin_stall import StdinStallDetector
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target

Batch = list[tuple[int, bytes]]


class CommandEnd:
    """Interprets stderr, input and exit status of one command. `kubectl`: what runs is kubectl, on the way to a pod."""

    def __init__(self, target: Target, command: Command, *, kubectl: bool) -> None:
        self.kubectl = kubectl
        self._target = target
        self._command = command
        self._stderr = KubectlStderrFilter() if kubectl and not command.tty else None
        self._stdin = StdinStallDetector()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def outcome(self) -> Outcome | None:
        """Returns how the command ended, once the command has ended and all output was yielded."""
        return self._outcome.result() if self._outcome.done() else None

    async def wait(self) -> Outcome:
        """See `Channel.wait`."""
        return await asyncio.shield(self._outcome)

    def started(self, pid: int | None) -> None:
        """Takes the process id of kubectl in the runner, the mark of kubectl's own log lines."""
        if self._stderr and self._stderr.pid is None:
            self._stderr.pid = pid

    def input_sent(self, data: bytes) -> None:
        """Records input that is given to the command."""
        self._stdin.more(data)

    async def read(self, read: Callable[[], Awaitable[Batch]]) -> Batch | None:
        """Returns what `read` returns; an empty batch when held stderr is due for `release`; None at the end."""
        return await self._stderr.awaited(read) if self._stderr else await read() or None

    def stderr(self, data: bytes) -> bytes:
        """Returns the bytes that are surely the command's; what could be kubectl's words is held back."""
        return self._stderr.feed(data) if self._stderr else data

    def release(self) -> bytes:
        """Returns held stderr that has waited long enough to be the command's."""
        return self._stderr.release() if self._stderr else b""

    def exited(self, code: int, words: bytes) -> bytes:
        """Sets the outcome of a command that exited with `code`, as a shell gives it, and returns the stderr that was still
        held. `words`: kubectl's last words where a terminal was between.
        """
        held, words = self._stderr.end(code) if self._stderr else (b"", words)
        outcome = ended(code)
        if self.kubectl:
            outcome = self._stdin.explain(kubectl.explain(code, words, self._target, self._command))
        self._outcome.set_result(outcome)
        return held

    def failed(self, outcome: Outcome) -> bytes:
        """Sets the outcome of a command that did not run to its end, and returns the stderr that was still held."""
        held = self._stderr.end(-1)[0] if self._stderr else b""
        self._outcome.set_result(outcome)
        return held

    def missing(self) -> Outcome:
        """Returns the outcome of a program that the runner does not have."""
        if self.kubectl:
            return Outcome("kubectl_missing", "the runner has no kubectl on its login shell's PATH")
        return Outcome("start_failed", f"the runner has no program {self._command.argv[0]!a}")
