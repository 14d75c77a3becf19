"""Many rounds at random, and many sessions."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable

from faultrig.back import check_back, stock
from faultrig.checker import check_orphans
from faultrig.clients import OWN, V5, Socket
from faultrig.crowd import OPEN, use
from faultrig.faults import Fault
from faultrig.parts import ORPHANS, Place, Played
from faultrig.program import EXIT_CODE
from faultrig.rounds import play

_WRAPPED = " dap "  # the plain chain's wrapper, and incus before it
_AT_ONCE = 12  # sessions
_BATCH = 48  # the same


async def soak(
    places: list[Place], faults: list[Fault], seconds: float, seed: str, tell: Callable[[list[Played]], None]
) -> None:
    """Rounds of faults at random, one after the other, until the time is over; `tell` gets each."""
    rng, number = random.Random(seed), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fault = rng.choice(faults)
        tell(await play(fault, places, f"{seed}/soak/{number}/{fault.name}"))
        number += 1


async def opens(place: Place, count: int, rng: random.Random, seed: str) -> Played:
    """`count` sessions, half of them cut at random moments, the others ended well."""
    played = Played("opens", place.serve.mode, seed)
    known = set(await place.lab.processes())
    before = await stock(place)
    for first in range(0, count, _BATCH):
        await _batch(place, range(first, min(first + _BATCH, count)), rng, known, played)
    await check_back(place, before, played)
    return played


async def _batch(
    place: Place, numbers: Iterable[int], rng: random.Random, known: set[str], played: Played
) -> None:
    """What Kubernetes clients leave in the pod is ended after each, or a few hundred loops would have all the machine."""
    room = asyncio.Semaphore(_AT_ONCE)
    marks: list[str] = []

    async def one(number: int) -> None:
        async with room:
            marks.append(f"rig{rng.getrandbits(40):010x}n{number}")
            protocol, tty = rng.choice((OWN, V5)), rng.random() < 0.5
            client = Socket(place.serve.access, marks[-1], tty=tty, protocol=protocol)
            await _one(client, rng.uniform(0, 2) if number % 2 else None, played)

    async with asyncio.TaskGroup() as tasks:
        for number in numbers:
            tasks.create_task(one(number))
    left = await _left(place, set(marks), known)
    played.orphans += len(left)
    played.complaints += check_orphans(left)
    rest = await place.lab.left(set(marks), known, 0)
    played.unpromised += len(rest) - len(left)
    await place.lab.end(rest, set(marks))


async def _one(client: Socket, cut: float | None, played: Played) -> None:
    if cut is not None:
        await _cut(client, cut)
        played.outcomes["cut"] += 1
        return
    await use(client, OPEN)
    played.outcomes[str(client.told)] += 1
    if not client.told or client.told.code != "exited" or client.told.exit_code != EXIT_CODE:
        played.complaints.append(f"{client.name}: told {client.told}")


async def _cut(client: Socket, seconds: float) -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(client.run())
        await asyncio.sleep(seconds)
        if client.connection:
            client.cut()
        else:
            task.cancel()
        await asyncio.wait([task], timeout=ORPHANS)
        task.cancel()


async def _left(place: Place, marks: set[str], known: set[str]) -> list[str]:
    """On the way; the pod keeps what a Kubernetes client started, so it is waited for the others only."""
    end = time.monotonic() + ORPHANS
    while True:
        found = [
            row for row in await place.lab.left(marks, known, 0) if "kubectl exec" in row or _WRAPPED in row
        ]
        if not found or time.monotonic() > end:
            return found
        await asyncio.sleep(1)
