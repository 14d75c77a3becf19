"""One round: sessions of every client on each kind of chain, one broken hop, and what became of all of them."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from faultrig import program
from faultrig.checker import Promise, Told, check, missing, read
from faultrig.clients import Client, Socket
from faultrig.crowd import OPEN, again, end
from faultrig.faults import RESUMES, Fault
from faultrig.kept import Kept
from faultrig.lab import Lab
from faultrig.nemesis import BACK, break_, survives
from faultrig.parts import ORPHANS, Part, Place, Played, blame, whose
from faultrig.pod import own_pod

_FORGOTTEN = frozenset({"runner/relay_lost", "gateway/session_unknown"})  # a kept terminal waits first
_GOES_ON = 60.0  # seconds for a session that lives to end itself when asked to


async def play(fault: Fault, places: Sequence[Place], seed: str) -> list[Played]:
    """One round, at all places at once. LabError and ServeError when the rig itself cannot go on."""
    rng, lab = random.Random(seed), places[0].lab
    parts = [_part(fault, place, rng, seed, -(-fault.resumes // len(places))) for place in places]
    async with AsyncExitStack() as stack:
        if fault.place == "container":
            for part in parts:
                pod = await stack.enter_async_context(own_pod(part.place.serve.access))
                for client in part.clients:
                    client.pod = pod
        await _play(fault, lab, parts, rng)
    return [part.played for part in parts]


async def _play(fault: Fault, lab: Lab, parts: list[Part], rng: random.Random) -> None:
    known = set(await lab.processes())
    broken = 0.0
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(client.run()) for part in parts for client in part.clients]
        try:
            if all(await asyncio.gather(*map(_opened, parts))):
                await asyncio.sleep(rng.uniform(0.1, 1.5))
                for part in parts:
                    part.before = [len(client.output) for client in part.clients]
                broken = time.monotonic()
                await break_(fault, lab, parts)
                await asyncio.gather(*(_outcome(fault, part, broken) for part in parts))
        finally:
            for part in parts:
                await _let_go(part)
            await asyncio.wait(running, timeout=5)
            for task in running:
                task.cancel()
    for part in parts:
        part.played.complaints += await again(part.place.serve.access)
        await part.place.serve.clear()
    await _orphans(lab, parts, known)


def _part(fault: Fault, place: Place, rng: random.Random, seed: str, resumes: int) -> Part:
    clients = place.clients(f"rig{rng.getrandbits(40):010x}", resumes)
    if fault.name == "client-vanish":  # those on the Unix socket are too near for that
        clients = [client for client in clients if isinstance(client, Socket)]
    return Part(place, clients, Played(fault.name, place.serve.mode, seed), place.serve.mark())


async def _let_go(part: Part) -> None:
    await part.place.serve.appear()
    for client in part.clients:
        client.wake()
        client.cut()


async def _opened(part: Part) -> bool:
    end = time.monotonic() + OPEN
    for client in part.clients:
        if not await client.opened(end - time.monotonic()):
            part.played.complaints.append(
                f"{client.name}: did not open: {client.told} {bytes(client.output[:200])!r}"
            )
        await client.type_line()
    return not part.played.complaints


async def _outcome(fault: Fault, part: Part, broken: float) -> None:
    clients, played = part.clients, part.played
    going = [
        client for client in clients if not client.over.is_set() and (fault.lives or survives(fault, client))
    ]
    if fault.place == "client" and not fault.must_live:
        going = [client for client in going if client.resumes]
        await _gone(fault, part, [client for client in clients if not client.resumes], broken)
        await part.place.serve.appear()
    await asyncio.gather(*(_finish(client) for client in going))
    for client, had in zip(clients, part.before, strict=True):
        # a Kubernetes client is told the code that killed the command; one of ours what killed it
        codes = fault.exit_codes if client.kind == "v5" else frozenset[int]()
        due = Promise(fault.ends, fault.within, exit_codes=codes)
        if client.resumes and fault.name == "runner-stop":  # it waits for a relay that is gone for good
            due = replace(due, ends=fault.ends | _FORGOTTEN, within=2 * BACK)
        whole = client in going or survives(fault, client)
        if fault.place == "client" and not whole:
            continue
        seen = client.transcript(broken, had)
        played.complaints += check(seen, _to_go_on(fault, client) if whole else due)
        played.lost += missing(read(seen.mark, seen.output), seen.typed if whole else None)
        played.outcomes["goes on" if whole and seen.told else str(seen.told or "nothing")] += 1
        if seen.told and not whole:
            played.detected.append(seen.told.after)


def _to_go_on(fault: Fault, client: Client) -> Promise:
    """Whole. Where a hop behind the gateway broke, a client that resumes is told which; `dap shell` shows it in its title."""
    waits = fault.place == "chain" and fault.name in RESUMES and isinstance(client, Kept)
    return Promise(
        fault.ends if waits else frozenset(), fault.within, whole=True, exit_code=program.EXIT_CODE
    )


async def _finish(client: Client) -> None:
    """It types on, and asks its program to end."""
    await client.type_line()
    await asyncio.sleep(0.5)
    await client.type_line()
    await end(client, _GOES_ON)  # its transcript shows whether it did


async def _gone(fault: Fault, part: Part, clients: list[Client], broken: float) -> None:
    """A client that is gone is told nothing: what became of its session is in the gateway's log."""
    played = part.played
    rows: list[Told] = []
    while len(rows) < len(clients) and time.monotonic() - broken < fault.within + 5:
        await asyncio.sleep(0.2)
        now = time.monotonic() - broken
        rows += [
            Told(row["outcome"], row["hop"], row.get("exit_code"), now)
            for row in part.place.serve.closed(part.since)[len(rows) :]
        ]
    ends = Promise(fault.ends, fault.within)
    for number, client in enumerate(clients):
        told = rows[number] if number < len(rows) else None
        seen = replace(client.transcript(), told=told)
        played.complaints += check(seen, ends)
        played.lost += missing(read(seen.mark, seen.output))
        played.outcomes[str(told or "nothing")] += 1
        if told:
            played.detected.append(told.after)


async def _orphans(lab: Lab, parts: list[Part], known: set[str]) -> None:
    """What a Kubernetes client started in the pod lives on, as it does with kubectl: it is counted, and ended."""
    clients = [client for part in parts for client in part.clients]
    reaped = {client.mark for client in clients if client.reaps}
    rest = {client.mark for client in clients} - reaped
    left = await lab.left(reaped, known, ORPHANS)
    unpromised = await lab.left(rest, known, 0)
    marked = {client.mark: part.played for part in parts for client in part.clients}
    bad = [*left, *(row for row in unpromised if "kubectl exec" in row)]
    blame(bad, marked)
    for row in unpromised:
        whose(row, marked).unpromised += row not in bad
    await lab.end([*left, *unpromised], reaped | rest)
