"""Rows in which no hop is broken: what sessions are given, or what somebody else does, must harm nobody."""

import asyncio
import hashlib
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from faultrig import program
from faultrig.checker import Promise, check, check_orphans
from faultrig.clients import OWN, Socket
from faultrig.crowd import OPEN, again, use
from faultrig.dap import Dap, Shell, run_dap
from faultrig.kept import Kept
from faultrig.parts import Place, Played
from faultrig.served import Serve

_MUCH = 100 << 20  # bytes there and back
_PASTE = 256 << 20  # bytes: more than waits anywhere on the way
_GROWTH = 48 * 1024  # KiB that the gateway may hold of them
_HOLD = 15.0  # seconds that a session is stuck, or floods
_QUIET = 5.0  # seconds for a Ctrl-C to end it
_REFUSALS = 5
_ORPHANS = 30.0  # seconds


@dataclass(frozen=True)
class Load:
    """`play` fills the outcomes and complaints; sessions of its own carry the mark."""

    name: str
    rows: str
    play: Callable[[Place, str, Played], Awaitable[None]]
    keeps: bool = False  # it needs a chain that keeps terminals


async def bear(load: Load, place: Place, seed: str) -> Played:
    """One round. Afterwards a new session works, and nothing of the others is left."""
    played = Played(load.name, place.serve.mode, seed)
    mark = f"rig{random.Random(f'{seed}/{place.serve.mode}').getrandbits(40):010x}"
    known, before = set(await place.lab.processes()), place.serve.store()["KiB"]
    await load.play(place, mark, played)
    if (grown := place.serve.store()["KiB"] - before) > _GROWTH:
        played.complaints.append(f"the gateway holds {grown} KiB more")
    played.complaints += await again(place.serve.access)
    await place.serve.clear()
    left = await place.lab.left({mark}, known, _ORPHANS)
    played.orphans = len(left)
    played.complaints += check_orphans(left)
    await place.lab.end(left, {mark})
    return played


async def _paste(place: Place, mark: str, played: Played) -> None:
    """Far more than a program takes that does not read: the gateway takes what has credit, and others do not notice."""
    stuck = Dap(
        place.serve.access, mark, tty=False, command=("sh", "-c", f"echo {mark} out 1; exec sleep 1000")
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stuck.run())
        await stuck.opened(OPEN)
        giving = tasks.create_task(_give(stuck, _PASTE))
        end = time.monotonic() + _HOLD
        while time.monotonic() < end:
            played.complaints += await _beside(place, mark)
        if giving.done() or stuck.over.is_set():
            played.complaints.append(f"all of it was taken, or the session ended: {stuck.told}")
        giving.cancel()
        stuck.interrupt()
        await _over(stuck, played)
        running.cancel()
    played.outcomes[str(stuck.told)] += 1


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
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(flood.run())
        await flood.opened(OPEN)
        end = time.monotonic() + _HOLD
        while time.monotonic() < end:
            flood.output.clear()
            played.complaints += await _beside(place, mark)
        await flood.give(b"\x03")
        await _over(flood, played)
        running.cancel()
    played.outcomes[str(flood.told)] += 1


async def _take_over(place: Place, mark: str, played: Played) -> None:
    """The second client goes on where the first one was, which is told."""
    first, second = Kept(place.serve.access, mark), Kept(place.serve.access, mark)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(first.run())]
        await first.opened(OPEN)
        await first.type_line()
        await asyncio.sleep(0.5)
        second.take_over(first)
        taken = time.monotonic()
        running.append(tasks.create_task(second.run()))
        await _over(first, played)
        await second.type_line()
        await asyncio.sleep(0.5)
        await second.stop()
        await asyncio.wait(running, timeout=10)
        for task in running:
            task.cancel()
    played.complaints += check(first.transcript(taken), Promise(frozenset({"client/taken_over"}), _QUIET))
    played.complaints += check(second.transcript(), Promise(whole=True, exit_code=program.EXIT_CODE))
    played.outcomes[f"first {first.told}, second {second.told}"] += 1


async def _wrong_key(place: Place, mark: str, played: Played) -> None:
    """A gateway with a key that the host refuses stops asking it; another one gets in, though the host was annoyed."""
    with tempfile.TemporaryDirectory(prefix="dap-faults-") as directory:
        key = Path(directory) / "key"
        made = await asyncio.create_subprocess_exec("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        await made.wait()
        serve = Serve(place.serve.mode, Path(directory), {"DAP_RUNNER_SSH_KEY": str(key)})
        await serve.start(ready=False)
        try:
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


async def _beside(place: Place, mark: str) -> list[str]:
    """Another session works meanwhile."""
    client = Socket(place.serve.access, f"{mark}b", tty=True, protocol=OWN)
    await use(client, OPEN)
    await asyncio.sleep(1)
    return check(client.transcript(), Promise(whole=True, exit_code=program.EXIT_CODE))


async def _give(client: Dap, count: int) -> None:
    with suppress(OSError):
        for _ in range(count >> 16):
            await client.give(bytes(1 << 16))


async def _over(client: Dap | Kept, played: Played) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(client.over.wait(), _QUIET)
        return
    played.complaints.append(f"{client.name}: not over after {_QUIET:g} s")


LOADS = (
    Load("take-over", "4", _take_over, keeps=True),
    Load("wrong-key", "9", _wrong_key),
    Load("paste", "23", _paste),
    Load("pipe", "24", _pipe),
    Load("flood", "25", _flood),
)
