"""A backend whose one command follows a script, on any clock."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.backends.contract import (
    READ,
    SIZE,
    Channel,
    ClusterApi,
    Dial,
    Event,
    HopCheck,
    PodMonitor,
    Response,
    Stats,
)
from gateway.backends.resume import Resume
from gateway.errors import HopFailed
from gateway.protocol.actor import Actor
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target, TerminalSize, Way

OUT, ERR = Stream.STDOUT, Stream.STDERR
Step = float | tuple[Stream, bytes] | Outcome | Exception | asyncio.Event
"""Sleep so long; write; end so; raise; wait for it."""


@dataclass
class Script:
    """`start` is played on entering, `output` while the command runs, `finish` seconds go by on leaving. `slow` seconds
    go by in each write. What the session did is in the other fields.
    """

    output: list[Step] = field(default_factory=list)
    start: list[Step] = field(default_factory=list)
    finish: float = 0.0
    slow: float = 0.0
    command: Command | None = None
    written: list[bytes] = field(default_factory=list)
    sizes: list[TerminalSize] = field(default_factory=list)
    eofs: int = 0
    entered: int = 0
    left: int = 0
    eof: asyncio.Event = field(default_factory=asyncio.Event)
    lost: list[Step] = field(default_factory=list)  # what happens to the pod: its last step is the outcome
    truth: Outcome | None = None  # what the end was, for a patient client
    unasked: list[bool] = field(default_factory=list)  # whether ends that were to be explained were that

    @property
    def stdin(self) -> bytes:
        """All input."""
        return b"".join(self.written)


class ScriptedBackend:
    """See `Backend`. Its runner reaches no API server."""

    resume: Resume | None = None
    dial: Dial | None = None

    def __init__(self, script: Script) -> None:
        self.script = script
        self.kube = NoApi()

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator[Channel]:
        """See `Backend.exec`; any target will do."""
        del target
        script = self.script
        script.command = command
        for step in script.start:
            await _play(step)
        script.entered += 1
        try:
            yield _Scripted(script, command)
        finally:
            await asyncio.sleep(script.finish)
            script.left += 1

    async def namespace(self) -> str:
        """Always the same."""
        return "default"

    def monitor(self, target: Target) -> PodMonitor:
        """As the script has it."""
        del target
        return _Monitor(self.script)

    async def check(self) -> list[HopCheck]:
        """Nothing to check."""
        return []

    def stats(self) -> Stats:
        """Returns the number of commands that were entered and not left."""
        return Stats({"channels": self.script.entered - self.script.left}, {}, {})


class NoApi:
    """See `ClusterApi`. Refuses every request."""

    watches = False

    def acting(self, actor: Actor | None) -> ClusterApi:
        """Refuses everybody alike."""
        del actor
        return self

    @asynccontextmanager
    async def request(self, *_: Any, **__: Any) -> AsyncIterator[Response]:
        """Raises HopFailed."""
        raise _unreachable()
        yield

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """Raises HopFailed."""
        del path, seconds, size
        raise _unreachable()

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """Raises HopFailed."""
        del path, seconds, size
        raise _unreachable()

    async def watch(
        self, path: str, *, seconds: float = READ, size: int = SIZE
    ) -> AsyncGenerator[Event, None]:
        """Raises HopFailed."""
        del path, seconds, size
        raise _unreachable()
        yield

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """Returns None: there is nobody to ask."""
        del verb, resource, namespace, name
        return None


def _unreachable() -> HopFailed:
    return HopFailed("cluster_unreachable", "the script has no API server")


class _Monitor:
    def __init__(self, script: Script) -> None:
        self._script = script

    def known(self) -> dict[str, Any] | None:
        return None

    async def wait_lost(self) -> Outcome:
        for step in self._script.lost:
            if isinstance(step, Outcome):
                return step
            await _play(step)
        return await asyncio.Event().wait()  # type: ignore[return-value]  # never

    async def diagnose(self, outcome: Outcome, *, may_wait: bool, suspicious: bool = False) -> Outcome:
        self._script.unasked.append(suspicious)
        return (self._script.truth if may_wait else None) or outcome


class _Scripted:
    way: Way = ""

    def __init__(self, script: Script, command: Command) -> None:
        self._script = script
        self._tty = command.tty
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        for step in self._script.output:
            if isinstance(step, Outcome):
                self._outcome.set_result(step)
                return
            if isinstance(step, tuple):
                yield step
            else:
                await _play(step)
        self._outcome.set_result(ended(0))

    async def write(self, data: bytes) -> None:
        if not self._outcome.done():
            self._script.written.append(data)
            await asyncio.sleep(self._script.slow)

    def write_eof(self) -> None:
        if not self._tty:
            self._script.eofs += 1
            self._script.eof.set()

    def resize(self, size: TerminalSize) -> None:
        if self._tty:
            self._script.sizes.append(size)

    async def wait(self) -> Outcome:
        return await asyncio.shield(self._outcome)


async def _play(step: Step) -> None:
    match step:
        case Exception():
            raise step
        case asyncio.Event():
            await step.wait()
        case float() | int():
            await asyncio.sleep(step)
        case _:
            raise TypeError(step)
