"""What a test must leave as it found it: tasks, file descriptors, child processes."""

import asyncio
import time
from collections.abc import Container
from pathlib import Path


def descriptors() -> dict[int, str]:
    """Open file descriptors and what they are; event loops' own excepted by the caller's comparison of counts."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except OSError:
            continue  # the one that listed them
    return found


def children() -> set[int]:
    """Living direct children of this process."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found |= {int(pid) for pid in (task / "children").read_text().split()}
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    """Zombies count as gone: somebody else's to reap. One that goes while it is read says ESRCH."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def settle(before: int, seconds: float = 2.0) -> dict[int, str]:
    """Waits until no more descriptors are open than before; returns what is open."""
    end = time.monotonic() + seconds
    while len(now := descriptors()) > before and time.monotonic() < end:
        time.sleep(0.02)
    return now


async def tasks_back(before: Container[object], seconds: float = 10.0) -> set[asyncio.Task[object]]:
    """Waits until no task lives that did not before; returns those that do."""
    end = time.monotonic() + seconds
    while (left := {task for task in asyncio.all_tasks() if task not in before}) and time.monotonic() < end:
        await asyncio.wait(left, timeout=0.05)
    return left
