"""A backend without a chain: it keeps the contract, and its commands behave, well or badly, as their name says."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import repeat
from typing import Any

from gateway.backends.contract import ClusterApi, Dial, Event, HopCheck, Response, Stats
from gateway.backends.resume import Resume
from gateway.errors import HopFailed
from gateway.protocol.actor import Actor
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Hop, Outcome, ended
from gateway.protocol.status import failure
from gateway.protocol.target import Command, Target, TerminalSize, Way

CHUNK = bytes(32768)


class Scripted:
    """Commands:

    true        ends at once
    echo WORDS  says its words
    both N      says a word on each stream, and ends with this exit code
    cat         says what it reads, until the end of its input
    hold        neither reads nor says anything
    flood N     says N MiB as fast as it can
    drip        says 32 KiB a millisecond, for ever
    refuse      does not start: the management host refuses
    forbidden   is refused by the API server
    completed   is refused by kubectl
    never       never starts
    defect      does not start: a bug
    late        says one byte, then: a bug

    `sizes`, `read`: what the last command was given. `open`: commands that run. `reaching`: as of `Stats`.
    """

    resume: Resume | None = None
    dial: Dial | None = None

    def __init__(self) -> None:
        self.sizes: list[TerminalSize] = []
        self.read = bytearray()
        self.opened: list[tuple[Target, Command]] = []
        self.shell = ("cat",)  # what a command without argv is
        self.running = 0
        self.default_namespace: str | Exception = "default"
        self.asked_namespace = 0
        self.changed = asyncio.Event()
        self.reaching: Hop | None = None
        self.kube = Answers()
        self.fated = Monitor()
        self.hops = [HopCheck(hop, 1.0) for hop in (Hop.SSH, Hop.INCUS, Hop.RUNNER, Hop.CLUSTER)]

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator["Spoken"]:
        self.opened.append((target, command))
        self.sizes, self.read = [], bytearray()
        if command.size:
            self.sizes.append(command.size)
        command = command if command.argv else replace(command, argv=self.shell)
        what = command.argv[0]
        self.running += 1
        self.changed.set()
        try:
            if what == "never":
                await asyncio.Event().wait()
            if what == "refuse":
                raise HopFailed("ssh_refused", "no login")
            if what == "defect":
                raise LookupError("a bug with a secret in it")
            yield Spoken(self, what, command)
        finally:
            self.running -= 1
            self.changed.set()

    async def namespace(self) -> str:
        """`default_namespace`, which may be an error; counts in `asked_namespace`."""
        self.asked_namespace += 1
        if isinstance(self.default_namespace, Exception):
            raise self.default_namespace
        return self.default_namespace

    def monitor(self, _: Target) -> "Monitor":
        return self.fated

    async def until(self, running: int, seconds: float = 10.0) -> None:
        """TimeoutError unless so many commands run within the time."""
        async with asyncio.timeout(seconds):
            while self.running != running:
                self.changed.clear()
                await self.changed.wait()

    async def check(self) -> list[HopCheck]:
        return self.hops

    def stats(self) -> Stats:
        counts = {"connections": 1, "channels": self.running}
        return Stats(counts, {}, {"finish": 2, "lease": 1}, reaching=self.reaching)


class Monitor:
    """Of every pod. `lost_as`: set it when the pod is gone. `truly`: what the ends of commands were in truth. `watched`: the
    pod that `known` returns.
    """

    def __init__(self) -> None:
        self.lost_as: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.truly: dict[bool, Outcome] = {}
        self.watched: dict[str, Any] | None = None

    def known(self) -> dict[str, Any] | None:
        return self.watched

    async def wait_lost(self) -> Outcome:
        return await asyncio.shield(self.lost_as)

    async def diagnose(self, outcome: Outcome, *, may_wait: bool, suspicious: bool = False) -> Outcome:  # noqa: ARG002  # its ends are scripted
        return self.truly.get(may_wait, outcome)


class Answers:
    """The cluster's API. `objects`: what is at a path, an object, a list of them, or an error; every pod that is not in
    there is well. `slow`: an answer never comes. `error`: what all is answered with. `allowed`: what `may` says.
    """

    def __init__(self) -> None:
        self.watches = True
        self.objects: dict[str, Any] = {}
        self.asked: list[str] = []
        self.slow = False
        self.error: Exception | None = None
        self.allowed: bool | None = True
        self.actors: list[Actor | None] = []  # in whose name it was to be asked

    def acting(self, actor: Actor | None) -> ClusterApi:
        """The same for everybody."""
        self.actors.append(actor)
        return self

    @asynccontextmanager
    async def request(self, method: str, path: str, *_: Any, **__: Any) -> AsyncIterator[Response]:
        found = json.dumps(await self._answer(path, {})).encode()
        yield Response(
            200, (("content-type", "application/json"),), _body(b"" if method == "HEAD" else found)
        )

    async def get(self, path: str, **_: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self._answer(path, pod_called(path.rpartition("/")[2]))
        return found

    async def list(self, path: str, **_: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._answer(path, [])
        return found

    async def watch(self, path: str, **_: Any) -> AsyncGenerator[Event, None]:
        """Nothing ever happens."""
        await self._answer(path, None)
        await asyncio.Event().wait()
        yield Event("BOOKMARK", {})

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        allowed: bool | None = await self._answer(f"{verb} {resource} {namespace}/{name}", self.allowed)
        return allowed

    async def _answer(self, path: str, usual: Any) -> Any:
        self.asked.append(path)
        if self.slow:
            await asyncio.Event().wait()
        found = self.error or self.objects.get(path, usual)
        if isinstance(found, Exception):
            raise found
        return found


async def _body(data: bytes) -> AsyncIterator[bytes]:
    yield data


def pod_called(name: str, *containers: str, **spec: Any) -> dict[str, Any]:
    """A pod that is well."""
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    rows = [{"name": container} for container in containers or ("main",)]
    return {
        "metadata": {"name": name, "uid": name},
        "spec": {"nodeName": "n", "containers": rows, **spec},
        "status": {"phase": "Running", "conditions": [ready]},
    }


class Spoken:
    """The channel."""

    way: Way = "kubectl"

    def __init__(self, backend: Scripted, what: str, command: Command) -> None:
        self._backend = backend
        self._what = what
        self._command = command
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        match self._what:
            case "echo":
                yield Stream.STDOUT, " ".join(self._command.argv[1:]).encode()
            case "both":
                yield Stream.STDOUT, b"out"
                yield Stream.STDERR, b"err"
            case "cat":
                while data := await self._input.get():
                    yield Stream.STDOUT, data
            case "flood" | "drip":
                for pause in self._pauses():
                    yield Stream.STDOUT, CHUNK
                    await asyncio.sleep(pause)
            case "hold":
                await asyncio.Event().wait()
            case "late":
                yield Stream.STDOUT, b"x"
                raise LookupError("a bug in mid-stream")
        self._outcome.set_result(self._end())

    async def write(self, data: bytes) -> None:
        if self._outcome.done():
            return
        self._backend.read += data
        self._input.put_nowait(data)
        if self._what == "hold":
            await asyncio.Event().wait()

    def write_eof(self) -> None:
        if not self._command.tty:
            self._input.put_nowait(b"")

    def resize(self, size: TerminalSize) -> None:
        if self._command.tty:
            self._backend.sizes.append(size)

    async def wait(self) -> Outcome:
        return await asyncio.shield(self._outcome)

    def _pauses(self) -> Iterator[float]:
        """Returns the seconds after each chunk."""
        return repeat(0.001) if self._what == "drip" else repeat(0.0, int(self._command.argv[1]) * 32)

    def _end(self) -> Outcome:
        match self._what:
            case "completed":
                return Outcome("pod_completed", "it has finished")
            case "forbidden":
                said = 'pods "p" is forbidden: User "u" may not'
                status = failure(403, said, details={"name": "p", "kind": "pods"})
                return Outcome("forbidden", said, status=status)
            case "both":
                return ended(int(self._command.argv[1]))
        return ended(0)
