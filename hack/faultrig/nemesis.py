"""Breaks one hop under the clients of a round, waits until they know, and mends it."""

import asyncio
import signal
import time
from collections.abc import Iterable

from faultrig.clients import Client
from faultrig.crowd import open_many
from faultrig.dap import Dap
from faultrig.faults import RESUMES, Fault
from faultrig.lab import Lab
from faultrig.parts import Part
from faultrig.pod import end_container

BACK = 45.0  # seconds after a hop is back, until a kept terminal that it cost is told
_STALL = 8.0  # seconds that a hop is away that its sessions live through


async def break_(fault: Fault, lab: Lab, parts: list[Part]) -> None:
    """Returns when every client knows, or when it is mended."""
    if fault.place == "chain":
        try:
            await lab.fault(fault.name)
            await asyncio.gather(*(_meanwhile(fault, part, -(-fault.opens // len(parts))) for part in parts))
        finally:
            if fault.undo:
                await lab.fault(fault.undo)
                kept = [client for part in parts for client in part.clients if client.resumes]
                await _told(fault, kept, BACK)
    else:
        one = {"gateway": _stop, "container": _end_container, "client": _leave}[fault.place]
        await asyncio.gather(*(one(fault, part) for part in parts))


async def _meanwhile(fault: Fault, part: Part, more: int) -> None:
    await _told(fault, part.clients, fault.hold)
    part.played.complaints += await open_many(part.place.serve.access, more)


async def _stop(fault: Fault, part: Part) -> None:
    serve = part.place.serve
    if fault.must_live:
        await serve.pause(fault.hold)
        return
    await serve.end(signal.SIGTERM if fault.name == "gateway-term" else signal.SIGKILL)
    await _told(fault, part.clients, fault.within + 5)
    await serve.start()


async def _end_container(fault: Fault, part: Part) -> None:
    await end_container(part.place.serve.access, part.clients[0].pod)
    await _told(fault, part.clients, fault.hold)


async def _leave(fault: Fault, part: Part) -> None:
    if fault.name == "client-vanish":
        await part.place.serve.vanish()
        return
    for client in part.clients:
        client.cut() if fault.name == "client-cut" else client.silence()
    if fault.must_live:
        await asyncio.sleep(fault.hold)
        for client in part.clients:
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
