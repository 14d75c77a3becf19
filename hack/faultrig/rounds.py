"""One round: sessions of every client, one broken hop, and what became of all of them."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from faultrig import program
from faultrig.checker import Promise, Told, check, check_orphans, missing, read
from faultrig.clients import OWN, V5, Client, Socket
from faultrig.crowd import OPEN, again, open_many
from faultrig.dap import Dap, Shell
from faultrig.faults import RESUMES, Fault
from faultrig.kept import Kept
from faultrig.lab import Lab
from faultrig.served import Serve

_FORGOTTEN = frozenset({"runner/relay_lost", "gateway/session_unknown"})  # a kept terminal waits first
_GOES_ON = 60.0  # seconds for a session that lives to end itself when asked to
ORPHANS = 30.0  # seconds
_BACK = 45.0  # seconds after a hop is back, until a kept terminal that it cost is told
_STALL = 8.0  # seconds that a hop is away that its sessions live through


@dataclass
class Played:
    """What one round comes to. `detected`: seconds from the fault until each client was told."""

    fault: str
    chain: str
    seed: str
    detected: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    unpromised: int = 0  # left in the pod by clients whose protocol does not end what it started
    lost: int = 0
    complaints: list[str] = field(default_factory=list)


@dataclass
class Place:
    """Where rounds are played: a gateway, its chain, and whether that keeps terminals."""

    serve: Serve
    lab: Lab
    keeps: bool = False

    def clients(self, mark: str, resumes: int = 0) -> list[Client]:
        """One of each kind, and so many more that attach again; the pod is the one with a shell."""
        access = self.serve.access
        kinds: list[Client] = [
            Socket(access, f"{mark}a", tty=True, protocol=V5), Socket(access, f"{mark}b", tty=False, protocol=V5),
            Socket(access, f"{mark}c", tty=True, protocol=OWN), Socket(access, f"{mark}d", tty=False, protocol=OWN),
            Dap(access, f"{mark}e", tty=False), Shell(access, f"{mark}f"),
        ]  # fmt: skip
        kinds[-1].resumes = self.keeps
        return [*kinds, *(Kept(access, f"{mark}g{n}") for n in range(1 + resumes))] if self.keeps else kinds


async def play(fault: Fault, place: Place, seed: str) -> Played:
    """One round. LabError and ServeError when the rig itself cannot go on."""
    rng = random.Random(seed)
    played = Played(fault.name, place.serve.mode, seed)
    clients = place.clients(f"rig{rng.getrandbits(40):010x}", fault.resumes)
    if fault.name == "client-vanish":  # those on the Unix socket are too near for that
        clients = [client for client in clients if isinstance(client, Socket)]
    known = set(await place.lab.processes())
    since = place.serve.mark()
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(client.run()) for client in clients]
        try:
            if await _opened(clients, played):
                await asyncio.sleep(rng.uniform(0.1, 1.5))
                broken, before = await _break(fault, place, clients, played)
                await _outcome(fault, place, clients, played, broken, before, since)
        finally:
            await place.serve.appear()
            for client in clients:
                client.wake()
                client.cut()
            await asyncio.wait(running, timeout=5)
            for task in running:
                task.cancel()
    played.complaints += await again(place.serve.access)
    await place.serve.clear()
    await _orphans(place, clients, known, played)
    return played


async def _opened(clients: Iterable[Client], played: Played) -> bool:
    end = time.monotonic() + OPEN
    for client in clients:
        if not await client.opened(end - time.monotonic()):
            played.complaints.append(
                f"{client.name}: did not open: {client.told} {bytes(client.output[:200])!r}"
            )
        await client.type_line()
    return not played.complaints


async def _break(
    fault: Fault, place: Place, clients: list[Client], played: Played
) -> tuple[float, list[int]]:
    """When it was broken, and what had arrived then. Returns when every client knows, or when it is mended."""
    before = [len(client.output) for client in clients]
    broken = time.monotonic()
    if fault.place == "chain":
        try:
            await place.lab.fault(fault.name)
            await _told(fault, clients, fault.hold)
            played.complaints += await open_many(place.serve.access, fault.opens)
        finally:
            if fault.undo:
                await place.lab.fault(fault.undo)
                await _told(fault, [client for client in clients if client.resumes], _BACK)
    elif fault.place == "gateway" and fault.must_live:
        await place.serve.pause(fault.hold)
    elif fault.place == "gateway":
        await place.serve.end(signal.SIGTERM if fault.name == "gateway-term" else signal.SIGKILL)
        await _told(fault, clients, fault.within + 5)
        await place.serve.start()
    else:
        await _leave(fault, place, clients)
    return broken, before


async def _leave(fault: Fault, place: Place, clients: list[Client]) -> None:
    if fault.name == "client-vanish":
        await place.serve.vanish()
        return
    for client in clients:
        client.cut() if fault.name == "client-cut" else client.silence()
    if fault.must_live:
        await asyncio.sleep(fault.hold)
        for client in clients:
            client.wake()


def survives(fault: Fault, client: Client) -> bool:
    """It is promised that the session goes on, byte for byte. A `dap` that is killed is not there to attach again."""
    if fault.must_live:
        return True
    killed = fault.name == "client-cut" and isinstance(client, Dap)
    return client.resumes and fault.name in RESUMES and not killed


async def _told(fault: Fault, clients: Iterable[Client], seconds: float) -> None:
    """Until all that do not survive have ended."""
    due = [client for client in clients if not survives(fault, client)]
    if not due or fault.lives:
        await asyncio.sleep(min(seconds, _STALL))
        return
    end = time.monotonic() + min(seconds, fault.within + 10)
    while not all(client.over.is_set() for client in due) and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def _outcome(
    fault: Fault, place: Place, clients: list[Client], played: Played, broken: float, before: list[int], since: int
) -> None:  # fmt: skip
    going = [
        client for client in clients if not client.over.is_set() and (fault.lives or survives(fault, client))
    ]
    if fault.place == "client" and not fault.must_live:
        going = [client for client in going if client.resumes]
        await _gone(fault, place, [client for client in clients if not client.resumes], played, broken, since)
        await place.serve.appear()
    await asyncio.gather(*(_finish(client) for client in going))
    ends = Promise(fault.ends, fault.within, exit_codes=fault.exit_codes)
    for client, had in zip(clients, before, strict=True):
        whole = client in going or survives(fault, client)
        if fault.place == "client" and not whole:
            continue
        seen = client.transcript(broken, had)
        due = replace(ends, ends=fault.ends | _FORGOTTEN, within=2 * _BACK) if client.resumes else ends
        played.complaints += check(seen, Promise(whole=True, exit_code=program.EXIT_CODE) if whole else due)
        played.lost += missing(read(seen.mark, seen.output), seen.typed if whole else None)
        played.outcomes["goes on" if whole and seen.told else str(seen.told or "nothing")] += 1
        if seen.told and not whole:
            played.detected.append(seen.told.after)


async def _finish(client: Client) -> None:
    """It types on, and asks its program to end."""
    await client.type_line()
    await asyncio.sleep(0.5)
    await client.type_line()
    await client.stop()
    try:
        await asyncio.wait_for(client.over.wait(), _GOES_ON)
    except TimeoutError:
        return  # its transcript shows that


async def _gone(
    fault: Fault, place: Place, clients: list[Client], played: Played, broken: float, since: int
) -> None:  # fmt: skip
    """A client that is gone is told nothing: what became of its session is in the gateway's log."""
    rows: list[Told] = []
    while len(rows) < len(clients) and time.monotonic() - broken < fault.within + 5:
        await asyncio.sleep(0.2)
        now = time.monotonic() - broken
        rows += [
            Told(row["outcome"], row["hop"], row.get("exit_code"), now)
            for row in place.serve.closed(since)[len(rows) :]
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


async def _orphans(place: Place, clients: list[Client], known: set[str], played: Played) -> None:
    """What a Kubernetes client started in the pod lives on, as it does with kubectl: it is counted, and ended."""
    reaped = {client.mark for client in clients if client.reaps}
    rest = {client.mark for client in clients} - reaped
    left = await place.lab.left(reaped, known, ORPHANS)
    played.orphans = len(left)
    played.complaints += check_orphans(left)
    unpromised = await place.lab.left(rest, known, 0)
    bad = [row for row in unpromised if "kubectl exec" in row]
    played.orphans += len(bad)
    played.complaints += check_orphans(bad)
    played.unpromised = len(unpromised) - len(bad)
    await place.lab.end([*left, *unpromised], reaped | rest)
