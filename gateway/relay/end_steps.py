"""Ends a command with all of its session in steps: HUP, TERM, KILL."""

from __future__ import annotations

import signal

from . import process

STEPS = ((signal.SIGHUP, 1.0), (signal.SIGTERM, 1.5), (signal.SIGKILL, 0.0))  # seconds until the next


def send(pid: int, step: int) -> float:
    """Sends the signal of step 0, 1 or 2 to the command's processes. Returns the seconds until the next step; 0 where
    there is no next one, or nothing that it could end.
    """
    number, wait = STEPS[step]
    if step == 0:
        process.kill([pid], number)  # it may not have a group of its own yet
        process.kill_group(pid, number)
        process.kill_group(pid, signal.SIGCONT)
        return wait
    left = process.members(pid)
    process.kill(left, number)
    return wait if left else 0.0
