"""Describes a pod, or what leads to one, for programs: nothing is asked before one of the methods is called."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from gateway.client.cluster import Cluster
from gateway.client.copy.download import download
from gateway.client.copy.upload import upload
from gateway.client.copy.work import Work
from gateway.client.endpoint import Endpoint
from gateway.client.exchange import once
from gateway.client.library.log_lines import log_lines
from gateway.client.library.running import CommandFailed, Completed, Running, completed, running
from gateway.client.logs.lines import LogLine
from gateway.client.logs.wish import Selection, Wish
from gateway.client.outage import Outage
from gateway.client.process import Pod as Starter
from gateway.copying.container import Container
from gateway.copying.entries import CopyResult
from gateway.errors import Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Command, Target, Verb

LIMIT = 64 << 20  # bytes of output that `run` keeps of each stream
Stdin = bytes | AsyncIterable[bytes] | None
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Place:
    """Runs commands at `target`: in a pod, or in the runner."""

    endpoint: Endpoint
    target: Target
    verb: Verb = "exec"

    @overload
    async def run(
        self, argv: Sequence[str], *, stdin: Stdin = None, check: bool = False, capture: bool = True,
        timeout: float | None = None, text: Literal[False] = False, limit: int = LIMIT, kill: bool = True,
    ) -> Completed[bytes]: ...  # fmt: skip
    @overload
    async def run(
        self, argv: Sequence[str], *, stdin: Stdin = None, check: bool = False, capture: bool = True,
        timeout: float | None = None, text: Literal[True], limit: int = LIMIT, kill: bool = True,
    ) -> Completed[str]: ...  # fmt: skip
    async def run(
        self, argv: Sequence[str], *, stdin: Stdin = None, check: bool = False, capture: bool = True,
        timeout: float | None = None, text: bool = False, limit: int = LIMIT, kill: bool = True,
    ) -> Completed[bytes] | Completed[str]:  # fmt: skip
        """Runs a command and returns its exit code and output. What it writes is at most `limit` bytes of each stream, or
        with `capture=False` any number, which are dropped. `text`: as UTF-8, what is none replaced. `kill`: whatever ends the
        wait ends the command in the pod too, for which the container needs sh. Raises CommandFailed with `check`, TimeoutError
        after `timeout` seconds, and DapError where it did not end by itself.
        """
        wanted = self._command(argv, stdin=stdin is not None, kill=kill)
        given = once(stdin) if isinstance(stdin, bytes) else stdin
        async with asyncio.timeout(timeout):
            done = await completed(self.endpoint, self.target, wanted, given, capture=capture, limit=limit)
        told = _text(done) if text else done
        if check and done.exit_code:
            raise CommandFailed(told)
        return told

    def exec(
        self, argv: Sequence[str], *, tty: bool = False, kill: bool = True
    ) -> AbstractAsyncContextManager[Running]:
        """Starts a command, and enters with it alive; leaving ends it, with `kill` in the pod too. Raises DapError."""
        return running(self.endpoint, self.target, self._command(argv, stdin=True, tty=tty, kill=kill))

    def _command(self, argv: Sequence[str], *, stdin: bool, kill: bool, tty: bool = False) -> Command:
        kill = kill and self.verb == "exec"
        try:
            return Command(
                tuple(argv), self.verb, stdin=stdin, stdout=True, stderr=not tty, tty=tty, kill_on_disconnect=kill
            )  # fmt: skip
        except BadRequest as error:
            raise Refused("bad_request", str(error)) from None


@dataclass(frozen=True)
class Pod(Place):
    """A pod by its name, or what leads to one: deploy/api, svc/web. Reusable; each call finds the pod anew."""

    def logs(
        self, *, follow: bool = False, since: float | None = None, tail: int | None = None, previous: bool = False,
        silence: float = Wish.silence, patience: float = Wish.patience,
    ) -> AsyncGenerator[LogLine, None]:  # fmt: skip
        """Yields the lines of its log; of a workload those of all its pods, in the order of their times. `since`: seconds back
        from now; `patience`: seconds in which a lost hop may come back. After that no line is missing and none doubled. Raises
        DapError.
        """
        wish = Wish(
            follow=follow, since=since, tail=tail, previous=previous, container=self.target.container or "",
            silence=silence, patience=patience,
        )  # fmt: skip
        cluster = Cluster(self.endpoint, self.target.cluster)
        return log_lines(cluster, self.target.namespace, [Selection(self.target)], wish)

    async def upload(
        self, source: str | Path, path: str, *, progress: Progress | None = None, patience: float = 300.0
    ) -> CopyResult:
        """Copies a file or a directory of this machine to `path`, as `dap cp` does. What could not be copied is in the result's
        `skipped`. Raises CopyFailed, DapError.
        """
        work = self._work(progress, patience)
        await upload(work, Path(source), path)
        return work.result

    async def download(
        self, path: str, target: str | Path, *, progress: Progress | None = None, patience: float = 300.0
    ) -> CopyResult:
        """Copies a file or a directory from the pod to `target`, as `upload` does the other way."""
        work = self._work(progress, patience)
        await download(work, path, Path(target))
        return work.result

    def _work(self, progress: Progress | None, patience: float) -> Work:
        container = Container(Starter(self.endpoint, self.target).start, self.target.pod)
        return Work(container, Outage(patience, lambda *_: None), progress or (lambda *_: None))


def _text(done: Completed[bytes]) -> Completed[str]:
    return Completed(
        done.exit_code, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )
