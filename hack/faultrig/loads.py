"""Rows in which no hop is broken: what sessions are given, or what somebody else does, must harm nobody."""

import asyncio
import hashlib
import random
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from faultrig import program
from faultrig.beside import QUIET, beside, give, hold, over, running
from faultrig.checker import Promise, check
from faultrig.clients import OWN, Client, Socket
from faultrig.crowd import OPEN, again, use
from faultrig.dap import Dap, Shell, run_dap
from faultrig.kept import Kept
from faultrig.parts import ORPHANS, Place, Played, blame
from faultrig.served import Serve

_MUCH = 100 << 20  # bytes there and back
_PASTE = 256 << 20  # bytes: more than waits anywhere on the way
_REFUSALS = 5


@dataclass(frozen=True)
class Load:
    """`play` fills the outcomes and complaints; sessions of its own carry the mark."""

    name: str
    rows: str
    play: Callable[[Place, str, Played], Awaitable[None]]
    keeps: bool = False  # it needs a chain that keeps terminals
    alone: bool = False  # at one place of each kind: the management host remembers it


async def bear(load: Load, places: Sequence[Place], seed: str) -> list[Played]:
    """One round, at all places at once. Afterwards a new session works, and nothing of the others is left."""
    rng, lab = random.Random(seed), places[0].lab
    rounds = {
        f"rig{rng.getrandbits(40):010x}": (place, Played(load.name, place.serve.mode, seed))
        for place in places
    }
    known = set(await lab.processes())
    await asyncio.gather(*(_bear(load, place, mark, played) for mark, (place, played) in rounds.items()))
    left = await lab.left(set(rounds), known, ORPHANS)
    blame(left, {mark: played for mark, (_, played) in rounds.items()})
    await lab.end(left, set(rounds))
    return [played for _, played in rounds.values()]


async def _bear(load: Load, place: Place, mark: str, played: Played) -> None:
    await load.play(place, mark, played)
    played.complaints += await again(place.serve.access)
    await place.serve.clear()


async def _paste(place: Place, mark: str, played: Played) -> None:
    """Far more than a program takes that does not read: the gateway takes what has credit, and others do not notice."""
    argv = ("sh", "-c", f"echo {mark} out 1; exec sleep 1000")
    stuck = Dap(place.serve.access, mark, tty=False, command=argv)
    async with running(stuck, played), asyncio.TaskGroup() as tasks:
        giving = tasks.create_task(give(stuck, _PASTE))
        await hold(place, stuck, played)
        if giving.done():
            played.complaints.append("all of it was taken")
        giving.cancel()
        stuck.end()
        await over(stuck, 128 + signal.SIGTERM, played)


async def _pipe(place: Place, mark: str, played: Played) -> None:
    """Up and down at once, and whole."""
    block = hashlib.sha256(mark.encode()).digest() * 2048
    data = block * (_MUCH // len(block))
    words = ("exec", "-i", "-q", "web-0", "-c", "main", "--", "sh", "-c", f": {mark}; exec cat")
    code, out, said = await run_dap(place.serve.access, *words, given=data, seconds=120)
    if code or hashlib.sha256(out).digest() != hashlib.sha256(data).digest():
        played.complaints.append(
            f"{len(out)} of {len(data)} bytes came back, exit code {code}: {said[-200:]}"
        )
    played.lost += abs(len(data) - len(out))
    played.outcomes[f"{len(out) >> 20} MiB there and back"] += 1


async def _flood(place: Place, mark: str, played: Played) -> None:
    """`yes` on a terminal: others work beside it, and Ctrl-C ends it."""
    flood = Shell(place.serve.access, mark, command=("sh", "-c", f"yes {mark} out 1"))
    async with running(flood, played):
        await hold(place, flood, played)
        await flood.give(b"\x03")
        await over(flood, 128 + signal.SIGINT, played)


async def _take_over(place: Place, mark: str, played: Played) -> None:
    """The second client goes on where the first one was, which is told."""
    first, second = Kept(place.serve.access, mark), Kept(place.serve.access, mark)
    async with running(first, played):
        await first.type_line()
        await asyncio.sleep(0.5)
        second.take_over(first)
        taken = time.monotonic()
        async with running(second, played):
            await asyncio.wait_for(first.over.wait(), OPEN)
            await second.type_line()
            await asyncio.sleep(0.5)
            await second.stop()
            await asyncio.wait_for(second.over.wait(), OPEN)
    played.complaints += check(first.transcript(taken), Promise(frozenset({"client/taken_over"}), QUIET))
    played.complaints += check(second.transcript(taken), Promise(whole=True, exit_code=program.EXIT_CODE))
    played.outcomes[f"first {first.told}, second {second.told}"] += 1


async def _wrong_key(place: Place, mark: str, played: Played) -> None:
    """A gateway with a key that the host refuses stops asking it; another one gets in, though the host was annoyed."""
    with tempfile.TemporaryDirectory(prefix="dap-faults-") as directory:
        key = Path(directory) / "key"
        made = await asyncio.create_subprocess_exec("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        await made.wait()
        serve = Serve(place.serve.mode, Path(directory), {"DAP_RUNNER_SSH_KEY": str(key)})
        try:
            await serve.start(ready=False)
            for number in range(_REFUSALS):
                client, began = (
                    Socket(serve.access, f"{mark}n{number}", tty=False, protocol=OWN),
                    time.monotonic(),
                )
                await use(client, OPEN)
                played.complaints += check(client.transcript(began), Promise(frozenset({"ssh/ssh_refused"})))
                played.outcomes[str(client.told)] += 1
            if not (await serve.connections())["breaker_open"]:
                played.complaints.append(f"no breaker after {_REFUSALS} refusals")
        finally:
            await serve.end()
    await place.lab.fault("ssh-drop")


async def _clock(place: Place, mark: str, played: Played) -> None:
    """An hour forth and back under a gateway: sessions go on, new ones work, nothing ends too early."""
    with tempfile.TemporaryDirectory(prefix="dap-faults-") as directory:
        clock = Path(directory) / "clock"
        _set(clock, 0)
        faked = {"LD_PRELOAD": str(faketime()), "FAKETIME_TIMESTAMP_FILE": str(clock)}
        options = {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        serve = Serve(place.serve.mode, Path(directory), faked | options)
        there = Place(serve, place.lab, place.keeps)
        clients = there.clients(mark)
        try:
            await serve.start()
            async with AsyncExitStack() as stack:
                for client in clients:
                    await stack.enter_async_context(running(client, played))
                for hours in (1, 0):
                    await _jump(clock, hours, there, clients, played)
                await asyncio.gather(*(client.stop() for client in clients))
                await asyncio.wait_for(asyncio.gather(*(client.over.wait() for client in clients)), OPEN)
        finally:
            await serve.end()
    whole = Promise(whole=True, exit_code=program.EXIT_CODE)
    began = time.monotonic()
    played.complaints += [said for client in clients for said in check(client.transcript(began), whole)]
    played.outcomes.update("goes on" if client.told else "nothing" for client in clients)


async def _jump(clock: Path, hours: int, place: Place, clients: list[Client], played: Played) -> None:
    _set(clock, hours)
    since = place.serve.mark()
    await asyncio.gather(*(client.type_line() for client in clients))
    await asyncio.sleep(2)
    played.complaints += await beside(place, clients[0].mark)
    said = datetime.fromisoformat(place.serve.closed(since)[-1]["timestamp"]).timestamp()
    if round((said - time.time()) / 3600) != hours:
        played.complaints.append(
            f"the gateway's clock did not jump: {said - time.time():.0f} s, not {hours} h"
        )


def _set(clock: Path, hours: int) -> None:
    new = clock.with_suffix(".new")
    new.write_text(f"+{hours}h\n")
    new.rename(clock)


def faketime() -> Path | None:
    """The library that shows a program another clock."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


LOADS = (
    Load("take-over", "4", _take_over, keeps=True),
    Load("wrong-key", "9", _wrong_key, alone=True),
    Load("clock-jump", "30", _clock),
    Load("paste", "23", _paste),
    Load("pipe", "24", _pipe),
    Load("flood", "25", _flood),
)
