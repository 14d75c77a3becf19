"""Keeps a task running that lives as long as the gateway: a defect in one ends neither the gateway nor another task."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping

import structlog

from gateway.errors import HopFailed

log = structlog.get_logger()
BACKOFF = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0)  # seconds before a task is started again
STEADY = 60.0  # seconds after which an earlier defect of a task counts no more


async def supervise(
    name: str, work: Callable[[], Awaitable[object]], restarts: MutableMapping[str, str]
) -> None:
    """Runs `work` for ever: starts the work again, with backoff, when it raises or returns. Logs each defect with its
    traceback, and keeps the last one under `name` in `restarts` until the work has run for STEADY seconds. Cancelling
    cancels the work; what the work holds, the work itself puts back in `finally`.
    """
    failures = 0
    while True:
        began = time.monotonic()
        steady = asyncio.get_running_loop().call_later(STEADY, restarts.pop, name, None)
        try:
            await work()
            why = "ended, and never should"
            log.error("task_ended", task=name)
        except Exception as defect:  # whatever it is: the gateway goes on
            why = f"a defect: {type(defect).__name__}"
            log.exception("task_defect", task=name)
        finally:
            steady.cancel()
        failures = 1 if time.monotonic() - began >= STEADY else failures + 1
        restarts[name] = f"{why}; started again {failures} times in a row"
        await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF)) - 1])


def defect() -> HopFailed:
    """Returns the error for whoever waits for a task that had a defect."""
    return HopFailed("gateway_error", "a defect in the gateway: its log has it")
