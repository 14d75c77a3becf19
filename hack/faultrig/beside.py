"""A session that is stuck or floods, and others that work beside it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from faultrig import program
from faultrig.checker import Promise, check
from faultrig.clients import OWN, Client, Socket
from faultrig.crowd import OPEN, use
from faultrig.dap import Dap
from faultrig.parts import Place, Played

_HOLD = 15.0  # seconds that a session is stuck, or floods
QUIET = 5.0  # seconds for a Ctrl-C to end it
_GROWTH = 48 * 1024  # KiB that the gateway may hold of them


@asynccontextmanager
async def running(client: Client, played: Played) -> AsyncIterator[None]:
    """From its first lines on; nothing of it is left."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(client.run())
        if not await client.opened(OPEN):
            played.complaints.append(f"{client.name}: did not open: {client.told}")
        try:
            yield
        finally:
            client.cut()
            await asyncio.wait([task], timeout=QUIET)
            task.cancel()


async def hold(place: Place, client: Client, played: Played) -> None:
    """Others work beside it for a while, and the gateway stays as large as it was."""
    before, most = place.serve.store()["KiB"], 0
    end = time.monotonic() + _HOLD
    while time.monotonic() < end:
        client.output.clear()
        played.complaints += await beside(place, client.mark)
        most = max(most, place.serve.store()["KiB"] - before)
    if most > _GROWTH:
        played.complaints.append(f"the gateway held {most} KiB more")
    if client.over.is_set():
        played.complaints.append(f"{client.name}: over too early: {client.told}")


async def beside(place: Place, mark: str) -> list[str]:
    """Another session works meanwhile."""
    client = Socket(place.serve.access, f"{mark}z", tty=True, protocol=OWN)
    await use(client, OPEN)
    await asyncio.sleep(1)
    return check(client.transcript(), Promise(whole=True, exit_code=program.EXIT_CODE))


async def give(client: Dap, count: int) -> None:
    """So many bytes, as fast as they are taken."""
    with suppress(OSError):
        for _ in range(count >> 16):
            await client.give(bytes(1 << 16))


async def over(client: Client, status: int, played: Played) -> None:
    """It ends soon, with this exit status."""
    with suppress(TimeoutError):
        await asyncio.wait_for(client.over.wait(), QUIET)
    if not client.told or client.told.exit_code != status:
        played.complaints.append(f"{client.name}: told {client.told} within {QUIET:g} s, not {status}")
    played.outcomes[str(client.told)] += 1
