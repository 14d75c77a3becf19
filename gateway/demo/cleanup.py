"""Ends every process that a demo has started, however far it has got away."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

MARK = "DAP_DEMO"  # in the environment of all that the demo starts, and so of all that this starts
_HANGUP_SECONDS, _KILL_SECONDS, _LOOK_SECONDS = 1.0, 2.0, 0.02
_STEPS = (((signal.SIGHUP, signal.SIGCONT), _HANGUP_SECONDS), ((signal.SIGKILL,), _KILL_SECONDS))


async def end_processes(value: str, leaders: set[int]) -> None:
    """Hangs up, and kills what is still alive a second later; at most three seconds in all.

    `leaders` are process groups whose leader is not reaped yet; the caller may shrink the set meanwhile.
    Whatever else has the mark with this value in its environment is ended too (where there is a /proc).
    """
    for signals, seconds in _STEPS:
        deadline = time.monotonic() + seconds
        told: set[int] = set()
        while (living := _marked(value)) or leaders:
            fresh = living - told
            for number in signals:
                for pid in fresh:
                    _send(os.kill, pid, number)
                for group in leaders - told:
                    _send(os.killpg, group, number)
            told |= living | leaders
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)


def kill_processes(value: str) -> None:
    """Kills what has the mark with this value, without waiting for anything."""
    for pid in _marked(value):
        _send(os.kill, pid, signal.SIGKILL)


def _send(kill: Callable[[int, int], None], target: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        kill(target, number)


def _marked(value: str) -> set[int]:
    entry = f"{MARK}={value}".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or someone else's
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    found.discard(os.getpid())
    return found
