"""The channel of the plain chain: a process of the SSH connection, read through the wrapper's marks."""

import asyncio
from collections.abc import AsyncIterator, Callable

from gateway.backends.incus import trailer
from gateway.backends.kube import kubectl
from gateway.backends.kube.kubectl_stderr import KubectlStderrFilter
from gateway.backends.kube.stdin_stall import StdinStallDetector
from gateway.backends.plain.wrapper import Stderr, Stdout, send_argv
from gateway.backends.process import Process
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target, TerminalSize


class PlainChannel:
    """See `Channel`. `kubectl`: what runs is kubectl, whose words are to be told from the command's. `started` is
    called with `Parsed.roots` once they are known.
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
    ) -> None:
        self._process = process
        self._started = started
        self._asked = False
        self._target = target
        self._command = command
        self._kubectl = bool(target.pod) if kubectl is None else kubectl
        self._stdout = Stdout(nonce)
        self._stderr = Stderr(nonce)
        self._words = KubectlStderrFilter() if self._kubectl and not command.tty else None
        self._fed = StdinStallDetector()
        self._parting = trailer.IncusTrailerFilter()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def outcome(self) -> Outcome | None:
        """How the command ended, once it has."""
        return self._outcome.result() if self._outcome.done() else None

    @property
    def ended(self) -> bool:
        """The command has ended and all it wrote has been yielded."""
        return self._outcome.done()

    @property
    def over(self) -> bool:
        """Nothing was started, or it has ended and said so: nothing can be left of it when its process has closed."""
        return not self._process.lost and (not self._asked or self._stdout.seen.complete)

    async def start(self, argv: tuple[str, ...]) -> None:
        """Waits for the wrapper and tells it what to run; input may follow. Raises HopFailed."""
        while not self._stdout.seen.ready:
            batch = await self._process.read()
            if not batch:
                if self._process.lost:
                    raise self._process.failure()
                raise trailer.refusal(self._process.exit_code, self._stderr.talk + self._stdout.talk)
            for kind, data in batch:
                (self._stdout if kind == 1 else self._stderr).feed(data)  # before `ready` there is only talk
        self._asked = True
        await self._process.write(send_argv(argv, kubectl=self._kubectl))

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See `Channel.output`."""
        while not self._complete():
            batch = await self._read()
            if batch is None:
                break
            for kind, data in batch:
                if body := self._take(kind, data):
                    yield (Stream.STDOUT if kind == 1 else Stream.STDERR), body
            if not batch and self._words and (body := self._words.release()):
                yield Stream.STDERR, body
        for stream, body in self._last():
            if body:
                yield stream, body

    async def write(self, data: bytes) -> None:
        """See `Channel.write`."""
        if not self.ended:
            self._fed.more(data)
            await self._process.write(data)

    def write_eof(self) -> None:
        """See `Channel.write_eof`."""
        if not self._command.tty:
            self._process.write_eof()

    def resize(self, size: TerminalSize) -> None:
        """See `Channel.resize`."""
        if self._command.tty:
            self._process.resize(size)

    async def wait(self) -> Outcome:
        """See `Channel.wait`."""
        return await asyncio.shield(self._outcome)

    def _take(self, kind: int, data: bytes) -> bytes:
        """The command's bytes in it."""
        if kind == 1:
            body = self._stdout.feed(data)
            if self._stdout.seen.pid is not None:
                self._begun()
        else:
            body = self._stderr.feed(data)
            body = self._words.feed(body) if self._words else body
        shared = (kind == 1) == self._command.tty  # with incus' own words
        return self._parting.feed(body) if shared else body

    def _begun(self) -> None:
        if self._words and self._words.pid is None:
            self._words.pid = self._stdout.seen.pid
        if self._started:
            self._started(self._stdout.seen.roots)
            self._started = None

    def _complete(self) -> bool:
        return self._stdout.seen.complete and (self._command.tty or self._stderr.ended)

    async def _read(self) -> list[tuple[int, bytes]] | None:
        """What has come; empty where held words have waited long enough; None at the end."""
        read = self._process.read
        return await self._words.awaited(read) if self._words else await read() or None

    def _last(self) -> list[tuple[Stream, bytes]]:
        """The end: what was held back, and the outcome."""
        seen = self._stdout.seen
        rest_out, rest_err, words = self._stdout.end(), self._stderr.end(), seen.words
        if self._words:
            held, words = self._words.end(seen.code if seen.code is not None else -1)
            rest_err = held + rest_err
        self._outcome.set_result(self._explain(words))
        said = self._parting.held if seen.code is not None else b""
        if self._command.tty:
            return [(Stream.STDOUT, said + rest_out)]
        return [(Stream.STDOUT, rest_out), (Stream.STDERR, said + rest_err)]

    def _explain(self, words: bytes) -> Outcome:
        seen = self._stdout.seen
        if seen.code is None:
            if self._process.lost:
                return self._process.failure().outcome()
            return trailer.loss(self._process.exit_code)
        if seen.absent:
            if self._kubectl:
                return Outcome("kubectl_missing", "the runner has no kubectl on its login shell's PATH")
            return Outcome("start_failed", f"the runner has no program {self._command.argv[0]!a}")
        if self._kubectl:
            return self._fed.explain(kubectl.explain(seen.code, words, self._target, self._command))
        return ended(seen.code)
