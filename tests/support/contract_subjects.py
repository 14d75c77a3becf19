"""Backends that the contract's suite runs, each with commands of its own that behave as the suite asks.

mypy holds the fakes and the real backends to the types of `Backend` here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from support.channel import ERR, OUT, Script, ScriptedBackend
from support.leaks import alive
from support.scripted import CHUNK, Scripted
from support.served import cluster_at

from gateway.backends.contract import Backend, Channel
from gateway.backends.factory import make
from gateway.backends.relay.credentials import throw_away
from gateway.demo import DemoSettings
from gateway.errors import HopFailed
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target, Verb
from gateway.settings.config import Limits

LIMITS = Limits(finish=3.0, check=10.0, start=10.0)
INPUT = b"one\ntwo\n"
POD, RUNNER = Target("default", "default", "bash-0"), Target("default")


class Subject(Protocol):
    """A backend under test. `broken`: one whose way ends before its runner; None where there is no such.

    Kinds of commands:

    both        says out on stdout and err on stderr, and ends with 3
    true        says nothing and ends with 0
    cat         says what it reads, which the suite has be INPUT
    terminal    is a cat in a terminal
    late        reads all its input after half a second, and says how many bytes that were
    hold        neither reads nor says anything
    flood       says more for ever
    stubborn    is a hold that ignores signals which can be ignored
    refused     is refused by a hop before it starts
    missing     starts, and a hop says that it cannot be
    """

    backend: Backend
    broken: Backend | None

    def exec(self, kind: str) -> AbstractAsyncContextManager[Channel]:
        """Runs the command of that kind."""
        ...

    def running(self) -> bool:
        """True while a command of `exec` runs on our side of the pod."""
        ...

    def taken(self) -> bytes | None:
        """Returns all input that the last command was given; None where only the command knows."""
        ...

    def sizes(self) -> list[tuple[int, int]] | None:
        """Returns the sizes that the last command was given; None where only the command knows."""
        ...


class Chain:
    """The demo's chain, in one mode. Commands whose end is looked for run in the runner and leave their pid."""

    def __init__(self, backend: Backend, broken: Backend, directory: Path) -> None:
        self.backend = backend
        self.broken: Backend | None = broken
        self._pid = directory / "pid"
        begin = f"echo $$ >{self._pid}.new; mv {self._pid}.new {self._pid};"
        spin = "while :; do sleep 1 & wait; done"
        self._argv: Mapping[str, tuple[str, ...]] = {
            "both": ("sh", "-c", "printf out; sleep 0.1; exec >&-; printf err >&2; exit 3"),
            "true": ("true",),
            "cat": ("cat",),
            "terminal": ("cat",),
            "late": ("sh", "-c", "sleep 0.5; wc -c"),
            "hold": ("sh", "-c", f"{begin} exec sleep 1000"),
            "flood": ("sh", "-c", f"{begin} exec yes"),
            "stubborn": ("sh", "-c", f"trap '' HUP INT TERM; {begin} {spin}"),
            "refused": ("true",),
            "missing": ("true",),
        }

    def exec(self, kind: str) -> AbstractAsyncContextManager[Channel]:
        self._pid.unlink(missing_ok=True)
        here = kind in ("hold", "flood", "stubborn")
        target = Target("default", "default", "nobody-0") if kind == "missing" else RUNNER if here else POD
        backend = self.broken if kind == "refused" and self.broken else self.backend
        return backend.exec(target, _command(self._argv[kind], kind, "run" if here else "exec"))

    def running(self) -> bool:
        return self._pid.exists() and alive(int(self._pid.read_text()))

    def taken(self) -> None:
        return None

    def sizes(self) -> None:
        return None


class Edge:
    """The edge's fake."""

    _ARGV: Mapping[str, tuple[str, ...]] = {
        "both": ("both", "3"),
        "terminal": ("cat",),
        "flood": ("drip",),
        "late": ("hold",),
        "stubborn": ("hold",),
        "refused": ("refuse",),
        "missing": ("forbidden",),
    }

    def __init__(self) -> None:
        self._scripted = Scripted()
        self.backend: Backend = self._scripted
        self.broken: Backend | None = None

    def exec(self, kind: str) -> AbstractAsyncContextManager[Channel]:
        return self.backend.exec(POD, _command(self._ARGV.get(kind, (kind,)), kind))

    def running(self) -> bool:
        return self._scripted.running > 0

    def taken(self) -> bytes:
        return bytes(self._scripted.read)

    def sizes(self) -> list[tuple[int, int]]:
        return [(size.columns, size.rows) for size in self._scripted.sizes]


class Story:
    """The sessions' fake; each command is a new script of it."""

    def __init__(self) -> None:
        self._scripted = ScriptedBackend(Script())
        self.backend: Backend = self._scripted
        self.broken: Backend | None = None

    def exec(self, kind: str) -> AbstractAsyncContextManager[Channel]:
        self._scripted.script = _SCRIPTS[kind]()
        return self.backend.exec(POD, _command((kind,), kind))

    def running(self) -> bool:
        return self._scripted.script.entered > self._scripted.script.left

    def taken(self) -> bytes:
        return self._scripted.script.stdin

    def sizes(self) -> list[tuple[int, int]]:
        return [(size.columns, size.rows) for size in self._scripted.script.sizes]


def _cat(*, tty: bool = False) -> Script:
    script = Script()
    script.output = [0.1 if tty else script.eof, (OUT, INPUT), ended(0)]
    return script


_SCRIPTS: Mapping[str, Callable[[], Script]] = {
    "both": lambda: Script([(OUT, b"ou"), (OUT, b"t"), (ERR, b"err"), ended(3)]),
    "true": Script,
    "cat": _cat,
    "terminal": lambda: _cat(tty=True),
    "late": lambda: Script([asyncio.Event()], slow=1000),
    "hold": lambda: Script([asyncio.Event()]),
    "flood": lambda: Script([(OUT, CHUNK), 0.001] * 100_000),
    "stubborn": lambda: Script([asyncio.Event()], finish=0.5),
    "refused": lambda: Script(start=[HopFailed("ssh_refused", "no login")]),
    "missing": lambda: Script([Outcome("pod_not_found", "there is no such pod")]),
}


def _command(argv: tuple[str, ...], kind: str, verb: Verb = "exec") -> Command:
    tty = kind == "terminal"
    return Command(argv, verb, stdin=True, stdout=True, stderr=not tty, tty=tty)


@asynccontextmanager
async def chain(demo: DemoSettings, mode: str, directory: Path) -> AsyncIterator[Chain]:
    """The demo's chain in that mode, and a broken one whose instance does not exist. `auto`, alone, asks the API for exec."""
    way = "auto" if mode == "auto" else "kubectl"
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode=mode, way=way)
    wrong = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, "nowhere", mode=mode)
    async with (
        make(cluster, LIMITS, None, throw_away()) as backend,
        make(wrong, LIMITS, None, throw_away()) as broken,
    ):
        yield Chain(backend, broken, directory)
