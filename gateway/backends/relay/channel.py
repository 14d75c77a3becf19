"""The channel of the relay chain: a stream of the link, with kubectl's words told from the command's."""

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping
from typing import Any

from gateway.backends.kube import kubectl
from gateway.backends.kube.kubectl_stderr import KubectlStderrFilter
from gateway.backends.kube.stdin_stall import StdinStallDetector
from gateway.backends.relay.link_stream import LinkStream
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.relay import wire


def no_room(why: object) -> str:
    """What is said where the relay's journals have memory only."""
    return f"the runner's disk takes none: {why}"


class RelayChannel:
    """See `Channel`. `kubectl`: what runs is kubectl."""

    def __init__(self, stream: LinkStream, target: Target, command: Command, *, kubectl: bool) -> None:
        self._stream = stream
        self._target = target
        self._command = command
        self._kubectl = kubectl
        self._words = KubectlStderrFilter() if kubectl and not command.tty else None
        self._fed = StdinStallDetector()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def outcome(self) -> Outcome | None:
        """How the command ended, once it has."""
        return self._outcome.result() if self._outcome.done() else None

    async def start(self) -> None:
        """Until it runs, or did not. Raises HopFailed."""
        await self._stream.start()
        if self._words and self._stream.started:
            self._words.pid = int(self._stream.started.get("pid") or 0) or None

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See `Channel.output`."""
        while (batch := await self._read()) is not None:
            for kind, data in batch:
                if kind == wire.STDOUT:
                    yield Stream.STDOUT, data
                elif self._words:
                    if body := self._words.feed(data):
                        yield Stream.STDERR, body
                else:
                    yield Stream.STDERR, data
            if not batch and self._words and (body := self._words.release()):
                yield Stream.STDERR, body
        if body := self._last():
            yield Stream.STDERR, body

    async def write(self, data: bytes) -> None:
        """See `Channel.write`."""
        self._fed.more(data)
        await self._stream.write(data)

    def write_eof(self) -> None:
        """See `Channel.write_eof`."""
        if not self._command.tty:
            self._stream.write_eof()

    def resize(self, size: TerminalSize) -> None:
        """See `Channel.resize`."""
        if self._command.tty:
            self._stream.resize(size.columns, size.rows)

    async def wait(self) -> Outcome:
        """See `Channel.wait`."""
        return await asyncio.shield(self._outcome)

    async def _read(self) -> list[tuple[int, bytes]] | None:
        """What has come; empty where held words have waited long enough; None at the end."""
        read = self._stream.read
        return await self._words.awaited(read) if self._words else await read() or None

    def _last(self) -> bytes:
        """What was held back; the outcome is there then."""
        held, code = b"", self._code()
        words = str((self._stream.exit or {}).get("words", "")).encode("utf-8", "replace")  # in a terminal
        if self._words:
            held, words = self._words.end(code if code is not None else -1)
        self._outcome.set_result(self._explain(code, words))
        return held

    def _code(self) -> int | None:
        """The exit status as a shell gives it."""
        found = self._stream.exit or {}
        if "signal" in found:
            return 128 + int(found["signal"])
        return int(found["code"]) if "code" in found else None

    def _explain(self, code: int | None, words: bytes) -> Outcome:
        if code is not None:
            if self._kubectl:
                return self._fed.explain(kubectl.explain(code, words, self._target, self._command))
            return ended(code)
        found = self._stream.exit
        if found is None:
            failure = self._stream.failure
            return failure.outcome() if failure else Outcome("relay_lost")
        return self._unfinished(found)

    def _unfinished(self, found: Mapping[str, Any]) -> Outcome:
        """It did not run, or not to its end."""
        why, missing = found.get("error"), found.get("errno") == errno.ENOENT
        if found.get("full"):
            spool = found.get("spool")
            return (
                Outcome("relay_failed", f"output waited, and {no_room(spool)}")
                if spool
                else Outcome("slow_client")
            )
        if "errno" not in found:
            return Outcome("relay_failed", str(why))
        if self._kubectl and missing:
            return Outcome("kubectl_missing", "the runner has no kubectl on its login shell's PATH")
        if self._kubectl:
            return Outcome("runner_failed", f"the runner could not start kubectl: {why}")
        if missing:
            return Outcome("start_failed", f"the runner has no program {self._command.argv[0]!a}")
        return Outcome("start_failed", f"the runner could not start it: {why}")
