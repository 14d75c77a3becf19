"""What a gateway has open at the end is what it had at the beginning."""

import asyncio
import re
import time

from faultrig.parts import Place, Played

_MORE = {"fds": 8, "tasks": 8, "KiB": 24 * 1024}  # that it may have: connections to the chain come and go
_SETTLE = 135.0  # seconds; an idle connection to the cluster is closed after 60 to 120 s

Stock = dict[str, int]


async def stock(place: Place) -> Stock:
    """File descriptors, resident memory in KiB, and asyncio's tasks."""
    found = re.search(r"^dap_tasks (\d+)", await place.serve.metrics(), re.MULTILINE)
    return {**place.serve.store(), "tasks": int(found[1]) if found else -1}


async def check_back(place: Place, before: Stock, played: Played) -> None:
    """Waits for that, and complains when it does not come."""
    end = time.monotonic() + _SETTLE
    while True:
        now = await stock(place)
        if now["tasks"] >= 0 and all(now[what] <= before[what] + more for what, more in _MORE.items()):
            break
        if time.monotonic() > end:
            played.complaints.append(f"began with {before}, ended with {now}")
            break
        await asyncio.sleep(1)
    played.outcomes[", ".join(f"{before[what]} → {now[what]} {what}" for what in _MORE)] += 1
