"""Carries one command over a process of the SSH connection, and reads the wrapper's marks out of its output."""

import asyncio
from collections.abc import AsyncIterator, Callable

from gateway.backends import after_sleep
from gateway.backends.incus import trailer
from gateway.backends.kube.command_end import CommandEnd
from gateway.backends.kube.credentials import INTERRUPT
from gateway.backends.plain.wrapper import Stderr, Stdout, send_argv
from gateway.backends.process import Process
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target, TerminalSize, Way


class PlainChannel:
    """See `Channel`. `kubectl`: kubectl runs, and its messages are separated from the command's stderr; by default that
    is so where the target names a pod. Calls `started` with `Parsed.roots` when the command has started. `slept`: see `SleepWatch.recent`.
    """

    def __init__(
        self,
        process: Process,
        nonce: str,
        target: Target,
        command: Command,
        *,
        kubectl: bool | None = None,
        started: Callable[[tuple[int, ...]], None] | None = None,
        slept: Callable[[], float] = float,
    ) -> None:
        self._process = process
        self._started = started
        self._asked = False
        self._command = command
        kubectl = bool(target.pod) if kubectl is None else kubectl

        def explain(outcome: Outcome) -> Outcome:
            return after_sleep.explain(outcome, slept(), kubectl=kubectl)

        self._end = CommandEnd(target, command, kubectl=kubectl, explain=explain)
        self.wait = self._end.wait
        self._stdout = Stdout(nonce)
        self._stderr = Stderr(nonce)
        self._parting = trailer.IncusTrailerFilter()
        self._why = ""  # kubectl got no credentials
        self.silent = True  # the command has written nothing to stdout
        self.interrupted = asyncio.Event()  # at the terminal of a silent command

    @property
    def outcome(self) -> Outcome | None:
        """Returns how the command ended; None until `output` has read to the end."""
        return self._end.outcome

    @property
    def ended(self) -> bool:
        """True once `output` has read to the end and the outcome is known."""
        return self._end.outcome is not None

    @property
    def over(self) -> bool:
        """True if a closed process leaves nothing in the runner: the connection holds, and the command was never sent, or
        its last end mark has come.
        """
        return not self._process.lost and (not self._asked or self._stdout.seen.complete)

    @property
    def pid(self) -> int | None:
        """Returns the process in the runner below which kubectl is; None until the command has started."""
        return self._stdout.seen.pid

    @property
    def way(self) -> Way:
        """See `Channel.way`."""
        return "kubectl" if self._end.kubectl else ""

    @property
    def kubectl(self) -> bool:
        """Returns True if the process in the runner is a kubectl."""
        return self._end.kubectl

    def refuse(self, why: str) -> None:
        """Makes the outcome runner_credentials, once the command has ended; empty takes that back."""
        self._why = why

    async def start(self, argv: tuple[str, ...]) -> None:
        """Waits until the wrapper is ready, then sends the command to it; input may follow. Raises HopFailed where the
        connection, incus or the login shell ends first.
        """
        while not self._stdout.seen.ready:
            batch = await self._process.read()
            if not batch:
                if self._process.lost:
                    raise self._process.failure()
                raise trailer.refusal(self._process.exit_code, self._stderr.talk + self._stdout.talk)
            for kind, data in batch:
                (self._stdout if kind == 1 else self._stderr).feed(data)  # before `ready` all is talk
        self._asked = True
        await self._process.write(send_argv(argv, kubectl=self._end.kubectl))

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See `Channel.output`."""
        while not self._complete():
            batch = await self._end.read(self._process.read)
            if batch is None:
                break
            for kind, data in batch:
                if body := self._take(kind, data):
                    yield (Stream.STDOUT if kind == 1 else Stream.STDERR), body
            if not batch and (body := self._end.release()):
                yield Stream.STDERR, body
        for stream, body in self._last():
            if body:
                yield stream, body

    async def write(self, data: bytes) -> None:
        """See `Channel.write`."""
        if not self.ended:
            self._end.input_sent(data)
            if self.silent and self._command.tty and INTERRUPT.search(data):
                self.interrupted.set()
            await self._process.write(data)

    def write_eof(self) -> None:
        """See `Channel.write_eof`."""
        if not self._command.tty:
            self._process.write_eof()

    def resize(self, size: TerminalSize) -> None:
        """See `Channel.resize`."""
        if self._command.tty:
            self._process.resize(size)

    def _take(self, kind: int, data: bytes) -> bytes:
        """Returns the command's bytes in `data`; records its start when the mark has come."""
        if kind == 1:
            body = self._stdout.feed(data)
            self.silent = self.silent and not body
            if self._stdout.seen.pid is not None:
                self._begun()
        else:
            body = self._end.stderr(self._stderr.feed(data))
        shared = (kind == 1) == self._command.tty  # with incus' own messages
        return self._parting.feed(body) if shared else body

    def _begun(self) -> None:
        seen = self._stdout.seen
        self._end.started(filter(None, (seen.pid, *seen.below)))
        if self._started:
            self._started(self._stdout.seen.roots)
            self._started = None

    def _complete(self) -> bool:
        return self._stdout.seen.complete and (self._command.tty or self._stderr.ended)

    def _last(self) -> list[tuple[Stream, bytes]]:
        """Sets the outcome and returns the bytes that were held back."""
        seen = self._stdout.seen
        rest_out, rest_err = self._stdout.end(), self._stderr.end()
        if self._why:
            rest_err = self._end.refused(self._why, seen.words) + rest_err
        elif seen.code is None or seen.absent:
            rest_err = self._end.failed(self._unfinished()) + rest_err
        else:
            rest_err = self._end.exited(seen.code, seen.words) + rest_err
        held = self._parting.held if seen.code is not None else b""
        if self._command.tty:
            return [(Stream.STDOUT, held + rest_out)]
        return [(Stream.STDOUT, rest_out), (Stream.STDERR, held + rest_err)]

    def _unfinished(self) -> Outcome:
        """Returns why the command did not run, or did not run to its end."""
        if self._stdout.seen.absent:
            return self._end.missing()
        if self._process.lost:
            return self._process.failure().outcome()
        return trailer.loss(self._process.exit_code)
