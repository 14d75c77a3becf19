"""A limit for what is waited for on the way out."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def wait_within(work: Coroutine[Any, Any, object], seconds: float) -> bool:
    """Whether it was done in time; if not it is cancelled, and when we are. Raises what it raises.

    For cleanup: in a task that is being cancelled `asyncio.timeout` raises CancelledError where TimeoutError is meant,
    before Python 3.11.3 (python/cpython, gh-102780).
    """
    task = asyncio.ensure_future(work)  # noqa: TID251  # it does not outlive this call
    try:
        await asyncio.wait((task,), timeout=seconds)
        if task.done():
            task.result()
        return task.done()
    finally:
        task.cancel()
