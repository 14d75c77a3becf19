"""What answers several tests, or a `dap` that runs in the test's own thread: in a thread with an event loop of its own."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from gateway.demo import DemoSettings, demo_chain

Thing = TypeVar("Thing")


@contextmanager
def beside(thing: AbstractAsyncContextManager[Thing]) -> Iterator[Thing]:
    """Has `thing` open in a thread of its own while the block runs; leaving waits until both have ended."""
    made: Future[Thing] = Future()

    async def stay() -> None:
        async with thing as opened:
            loop, over = asyncio.get_running_loop(), asyncio.Event()
            leaving.add_done_callback(lambda _: loop.call_soon_threadsafe(over.set))
            made.set_result(opened)
            await over.wait()

    leaving: Future[None] = Future()
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        running = pool.submit(asyncio.run, stay())
        running.add_done_callback(lambda done: None if made.done() else made.set_exception(done.exception()))
        try:
            yield made.result()
        finally:
            leaving.set_result(None)
            running.result()


@contextmanager
def demo_beside() -> Iterator[DemoSettings]:
    """A demo's chain, which many tests share, each of which has its own loop; leaving waits until its processes have
    ended.
    """
    with beside(demo_chain()) as settings:
        yield settings
