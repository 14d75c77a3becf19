"""A backend whose one command follows a script, on any clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.backends.contract import Channel, ClusterApi, HopCheck, PodMonitor, Stats
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target, TerminalSize

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
    """See `Backend`."""

    def __init__(self, script: Script) -> None:
        self.script = script

    @property
    def cluster(self) -> ClusterApi:
        """Nobody asks."""
        raise NotImplementedError

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
            yield _Scripted(script)
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
        """Nothing."""
        return Stats({}, {}, {})


class _Monitor:
    def __init__(self, script: Script) -> None:
        self._script = script

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
    def __init__(self, script: Script) -> None:
        self._script = script
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
        self._script.written.append(data)
        await asyncio.sleep(self._script.slow)

    def write_eof(self) -> None:
        self._script.eofs += 1
        self._script.eof.set()

    def resize(self, size: TerminalSize) -> None:
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
