"""Sessions that are only to work: opened, asked to end, and done."""

import asyncio
import time
from contextlib import suppress

from faultrig import program
from faultrig.clients import OWN, Access, Client, Socket

OPEN = 45.0  # seconds for a session to say its first lines
_APART = 2.0  # seconds for which the next one waits
_ENDS = asyncio.Lock()
_AGAIN = 30.0  # seconds for a new session to work


async def again(access: Access) -> list[str]:
    """A new session works."""
    end = time.monotonic() + _AGAIN
    while True:
        client = Socket(access, f"rigagain{_own(access)}", tty=False, protocol=OWN)
        await use(client, end + 5 - time.monotonic())
        if client.told and client.told.exit_code == program.EXIT_CODE:
            return []
        if time.monotonic() > end:
            return [f"no new session: {client.told}"]
        await asyncio.sleep(0.5)


async def use(client: Client, seconds: float) -> None:
    """From its beginning to its end, which it is asked for once it has said something."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(client.run())
        await client.opened(seconds)
        await end(
            client, 30
        )  # containerd keeps a batch of execs that begin at once, and their ends, for many seconds
        task.cancel()


async def end(client: Client, seconds: float) -> None:
    """Asks for it, and waits so long. One ends after the other: of many that end at once on a busy machine kubectl alone
    says 0 for a few.
    """
    async with _ENDS:
        await client.stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(client.over.wait(), _APART)
    with suppress(TimeoutError):
        await asyncio.wait_for(client.over.wait(), seconds)


async def open_many(access: Access, count: int) -> list[str]:
    """All at once; what is to be complained of."""
    marks = (f"rigmany{_own(access)}n{n}" for n in range(count))
    clients = [Socket(access, mark, tty=n % 2 == 0, protocol=OWN) for n, mark in enumerate(marks)]
    await asyncio.gather(*(use(client, OPEN) for client in clients))
    return [
        f"one of {count} more: {client.told} {bytes(client.output[:200])!r}"
        for client in clients
        if not client.told or client.told.exit_code != program.EXIT_CODE
    ]


def _own(access: Access) -> str:
    """What makes marks of several gateways' sessions different."""
    return access.url.rpartition(":")[2]
