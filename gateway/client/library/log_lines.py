"""Yields lines of logs, for programs."""

import asyncio
from collections.abc import AsyncGenerator

from gateway.client.cluster import Cluster
from gateway.client.logs.lines import LogLine
from gateway.client.logs.reading import Reading
from gateway.client.logs.wish import Notice, Selection, Wish

_HELD = 1000  # lines that wait for their reader


async def log_lines(
    cluster: Cluster, namespace: str, selected: list[Selection], wish: Wish
) -> AsyncGenerator[LogLine, None]:
    """Yields the lines that `wish` describes, in the order of their times. Raises DapError."""
    lines: asyncio.Queue[LogLine | None] = asyncio.Queue(_HELD)

    async def deliver(item: LogLine | Notice) -> None:
        if isinstance(item, LogLine):
            await lines.put(item)

    async def read() -> None:
        try:
            await Reading(cluster, namespace or await cluster.default_namespace(), wish, deliver).run(
                selected
            )
        finally:
            await lines.put(None)

    reading = asyncio.ensure_future(read())  # noqa: TID251  # it does not outlive the generator
    try:
        while line := await lines.get():
            yield line
        await reading
    finally:
        reading.cancel()
        while not lines.empty():
            lines.get_nowait()
        await asyncio.gather(reading, return_exceptions=True)
