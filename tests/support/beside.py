"""A demo's chain in a thread with an event loop of its own: many tests share it, and each of them has its own loop."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from gateway.demo import DemoSettings, demo_chain


@contextmanager
def demo_beside() -> Iterator[DemoSettings]:
    """The demo's settings while the block runs; leaving waits until its processes and its thread have ended."""
    made: Future[DemoSettings] = Future()
    over = threading.Event()

    async def stay() -> None:
        async with demo_chain() as demo:
            made.set_result(demo)
            await asyncio.to_thread(over.wait)

    with ThreadPoolExecutor(1, thread_name_prefix="demo") as pool:
        running = pool.submit(asyncio.run, stay())
        running.add_done_callback(lambda done: None if made.done() else made.set_exception(done.exception()))
        try:
            yield made.result()
        finally:
            over.set()
            running.result()
