"""What a test must leave as it found it: tasks, file descriptors, child processes."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Container, Iterator
from pathlib import Path

from support.waiting import becomes


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Asserts after the block that file descriptors and child processes are back where they started."""
    before, born = descriptors(), children()
    yield
    now, more = settle(len(before), born)
    assert len(now) <= len(before), named(now - before)
    assert not more


def descriptors() -> set[int]:
    """Open file descriptors of this process; the number of what lists them is among them."""
    return {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208  # before and after every test


def named(numbers: set[int]) -> dict[int, str]:
    """What is behind these descriptors, as far as they are still open; of a socket both its addresses, too."""
    found = {}
    for number in numbers:
        with contextlib.suppress(OSError):
            found[number] = str(Path(f"/proc/self/fd/{number}").readlink())
            with socket.socket(fileno=os.dup(number)) as peek:
                found[number] += f" {peek.getsockname()!r}"
                found[number] += f" {peek.getpeername()!r}"
    return found


def children() -> set[int]:
    """Direct children of this process, zombies too. Looks into /proc only where waitid(2) knows of any."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
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


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Waits until a process has ended, at most `seconds`. Returns False where it lives on."""
    return becomes(lambda: not alive(pid), seconds)


def settle(before: int, born: set[int], seconds: float = 25.0) -> tuple[set[int], set[int]]:
    """Waits (a lease that was only just starting stays 13 s for another one, on a chain that lives on) until no more descriptors are open than before and no child lives that was not `born` then.

    Returns the descriptors that are open, and such children.
    """
    becomes(lambda: len(descriptors()) <= before and not children() - born, seconds)
    return descriptors(), children() - born


async def tasks_back(before: Container[object], seconds: float = 10.0) -> set[asyncio.Task[object]]:
    """Waits until no task lives that did not before; returns those that do."""
    end = time.monotonic() + seconds
    while (left := {task for task in asyncio.all_tasks() if task not in before}) and time.monotonic() < end:
        await asyncio.wait(left, timeout=0.05)
    return left
