"""Carries a command over a stream of the link, and separates kubectl's stderr from the command's."""

import errno
from collections.abc import AsyncIterator

from gateway.backends.kube import credentials
from gateway.backends.kube.command_end import CommandEnd
from gateway.backends.relay import remote_exec
from gateway.backends.relay.link_stream import LinkStream
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome, journal_full
from gateway.protocol.target import Command, Target, TerminalSize, Way
from gateway.relay import wire


def no_room(why: object) -> str:
    """Returns the message that says why the runner's disk cannot hold output that waits in a journal."""
    return f"the runner's disk cannot hold it: {why}"


class RelayChannel:
    """See `Channel`. `kubectl`: True if the program that the relay runs is kubectl, on the way to a pod."""

    def __init__(self, stream: LinkStream, target: Target, command: Command, *, kubectl: bool) -> None:
        self._target = target
        self._command = command
        self.carry(stream, kubectl=kubectl)

    def carry(self, stream: LinkStream, *, kubectl: bool) -> None:
        """Has the command's stream from now on: the first, or one in place of a stream on which nothing began."""
        self._stream = stream
        self._end = CommandEnd(self._target, self._command, kubectl=kubectl)
        self.wait = self._end.wait

    @property
    def stream(self) -> LinkStream:
        """Returns the stream that has the command; the last one, where the link is lost."""
        return self._stream

    @property
    def outcome(self) -> Outcome | None:
        """Returns how the command ended; None until all its output was yielded."""
        return self._end.outcome

    @property
    def way(self) -> Way:
        """See `Channel.way`. A recovered command has none before its stream is attached."""
        about = self._stream.started or self._stream.exit
        if not about or not self._target.pod:
            return ""
        return "api" if remote_exec.is_remote(about) else "kubectl"

    async def start(self) -> None:
        """Waits until the relay has started the command or has ended it; takes kubectl's process id, by which its log
        lines are known. Raises HopFailed when the link is lost first.
        """
        await self._stream.start()
        self._know()

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See `Channel.output`."""
        while (batch := await self._end.read(self._stream.read)) is not None:
            self._know()
            for kind, data in batch:
                if kind == wire.STDOUT:
                    yield Stream.STDOUT, data
                elif body := self._end.stderr(data):
                    yield Stream.STDERR, body
            if not batch and (body := self._end.release()):
                yield Stream.STDERR, body
        if body := self._last():
            yield Stream.STDERR, body

    async def write(self, data: bytes) -> None:
        """See `Channel.write`."""
        self._end.input_sent(data)
        await self._stream.write(data)

    def write_eof(self) -> None:
        """See `Channel.write_eof`."""
        if not self._command.tty:
            self._stream.write_eof()

    def resize(self, size: TerminalSize) -> None:
        """See `Channel.resize`."""
        if self._command.tty:
            self._stream.resize(size.columns, size.rows)

    def _know(self) -> None:
        """Takes the processes that are kubectl as far as the relay has found them: more where a wrapper runs it."""
        started = self._stream.started or {}
        self._end.started(int(pid) for pid in (started.get("pid") or 0, *started.get("pids", ())) if pid)

    def _last(self) -> bytes:
        """Sets the outcome from the stream's end, and returns the stderr that was held back."""
        exit_ = self._stream.exit or {}
        if remote_exec.is_remote(exit_) and not exit_.get("full"):
            return self._end.failed(remote_exec.explain(exit_, self._target, self._command))
        if unfinished := self._unfinished():
            return self._end.failed(unfinished)
        code = 128 + int(exit_["signal"]) if "signal" in exit_ else int(exit_["code"])  # as a shell counts
        words = self._words()
        return self._end.exited(code, words)

    def _words(self) -> bytes:
        """Returns kubectl's stderr of a terminal; without a terminal, what a credential plugin wrote there."""
        return str((self._stream.exit or {}).get("words", "")).encode("utf-8", "replace")

    def _unfinished(self) -> Outcome | None:
        """Returns why the command did not run to its end; None if it exited or a signal ended it."""
        exit_ = self._stream.exit
        if exit_ is None:
            failure = self._stream.failure
            return failure.outcome() if failure else Outcome("relay_lost")
        if "signal" in exit_ or "code" in exit_:
            return None
        if exit_.get("full"):
            spool, limit = exit_.get("spool"), str(exit_.get("limit", ""))
            why = f"output waited, and {no_room(spool)}"
            return Outcome("relay_failed", why) if spool else journal_full(limit)
        if exit_.get("credentials"):
            return credentials.no_credentials(str(exit_.get("error")), self._words())
        if "errno" not in exit_:
            return Outcome("relay_failed", str(exit_.get("error")))
        if exit_["errno"] == errno.ENOENT:
            return self._end.missing()
        if self._end.kubectl:
            return Outcome("runner_failed", f"the runner could not start kubectl: {exit_.get('error')}")
        return Outcome("start_failed", f"the runner could not start the command: {exit_.get('error')}")
