"""Holds what a copy in either direction goes by: how it bridges lost hops, what it tells, and what came of it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from gateway.client.exit_status import GatewayFailed
from gateway.client.outage import Outage
from gateway.copying.container import BLOCK, Container
from gateway.copying.entries import Changed, CopyFailed, CopyResult, Entry
from gateway.errors import HopFailed
from gateway.timeouts import wait_within

LARGE = 32 * BLOCK  # bytes: a larger file is copied by itself, and goes on within itself after a lost hop
BATCH = 64 * BLOCK  # bytes of smaller files that one archive has
BATCH_NAMES = 500
_TIDY = 5.0  # seconds
ATTEMPTS = 3  # at a file that changes meanwhile
CHANGES = f"changed while it was copied: {ATTEMPTS} attempts were not of one piece"

T = TypeVar("T")
P = ParamSpec("P")
Progress = Callable[
    [int, int, str], None
]  # bytes that were copied, of how many, and the name that is being copied


@dataclass
class Work:
    """Holds one copy. `outage`: bridges lost hops. `progress` is told of each part."""

    container: Container
    outage: Outage
    progress: Progress
    result: CopyResult = field(default_factory=CopyResult)
    total: int = 0
    done: int = 0

    async def bridge(self, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what `work` returns, called again after a lost hop. Raises GatewayFailed, HopFailed, CopyFailed."""
        return await self.outage.bridge(work, *args, **kwargs)

    async def tidy(self, path: str) -> None:
        """Removes what is only beside a copy in the container, within a few seconds, also while this task is cancelled."""
        with suppress(GatewayFailed, HopFailed):
            await wait_within(self.container.remove(path), _TIDY)

    def came(self, count: int, name: str) -> None:
        """Takes note of bytes that were copied, or with a number below 0 of such that have to be copied again."""
        self.done += count
        self.progress(self.done, self.total, name)

    def skip(self, name: str, why: str) -> None:
        """Takes note of a name that is not copied."""
        self.result.skipped[name] = why

    def grew(self, name: str) -> None:
        """Takes note of a file that grew meanwhile: its copy has what was there at first."""
        self.result.grown.add(name)

    def copied(self, size: int, *, verified: bool) -> None:
        """Takes note of a file that has its name."""
        self.result.files += 1
        self.result.bytes += size
        self.result.unverified += not verified

    async def attempts(
        self, name: str, copy: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Copies a file, and tries again where it changes meanwhile. Raises CopyFailed where it does so again and again."""
        for _ in range(ATTEMPTS):
            before = self.done
            try:
                return await copy(*args, **kwargs)
            except Changed as error:
                how = str(error)
                self.came(before - self.done, name)
        raise CopyFailed(f"{name} {how}: {ATTEMPTS} attempts were not of one piece")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Returns what `work` returns, which runs in a thread. A task that is cancelled waits for the thread to be done: it uses
    what is closed next.
    """
    done = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))  # noqa: TID251  # it does not outlive this call
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait((done,))
        raise


def batches(entries: list[Entry]) -> list[list[Entry]]:
    """Returns small files in groups that one archive takes."""
    groups, size = list[list[Entry]](), 0
    for entry in entries:
        if not groups or size + entry.size > BATCH or len(groups[-1]) >= BATCH_NAMES:
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += entry.size
    return groups
