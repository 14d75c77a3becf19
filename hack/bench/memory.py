"""Memory of a process: as it is now, and the most that it had while something ran."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE = 0.02  # seconds between looks


def pss(pid: int) -> int:
    """Returns the proportional memory of a process in kilobytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1])


def rss(pid: int) -> int:
    """Returns the resident memory of a process in kilobytes: cheaper to ask for."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


@contextmanager
def growth(pid: int) -> Iterator[list[int]]:
    """Yields a list that after the block has one number: by how many kilobytes the process had grown at most."""
    before, most, over = rss(pid), 0, threading.Event()
    found: list[int] = []

    def look() -> None:
        nonlocal most
        while not over.wait(_PAUSE):
            most = max(most, rss(pid))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()
        found.append(most - before)
