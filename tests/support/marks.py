"""Processes that carry a session's mark, in whatever container of this machine: the demo's pods and the lab's."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def marked(session: str) -> dict[int, str]:
    """Pid and command line of each."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f".{session}\0".encode() in (folder / "environ").read_bytes():
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(folder.name)] = words.decode("utf-8", "replace").strip()
    return found


def end(session: str) -> None:
    """What a test has kept."""
    for pid in marked(session):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def until(true: Callable[[], object], seconds: float = 20.0) -> float:
    """Seconds that it took. TimeoutError unless it becomes so within the time."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  # looked at from outside: nothing tells of it
            await asyncio.sleep(0.05)
    return time.monotonic() - began
