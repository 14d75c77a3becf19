"""Runs an event loop in a thread, and what is asynchronous there for callers that block."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

T = TypeVar("T")
U = TypeVar("U")
P = ParamSpec("P")
_END: Final = object()


class LoopThread:
    """Holds the thread. Its `close` is called once, by whoever made it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dap", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Returns what the coroutine returns. Where the caller is interrupted, as by Ctrl-C, the coroutine is cancelled."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def blocking(self, method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
        """Returns the method as one that blocks."""

        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.run(method(*args, **kwargs))

        return call

    def iterating(self, method: Callable[P, AsyncIterator[T]]) -> Callable[P, Iterator[T]]:
        """Returns the method as one whose iterator blocks."""

        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            return self.iterated(method(*args, **kwargs))

        return call

    def entering(
        self, method: Callable[P, AbstractAsyncContextManager[T]], face: Callable[[T], U]
    ) -> Callable[P, AbstractContextManager[U]]:
        """Returns the method as one whose context blocks, and enters with the `face` of the value."""

        @wraps(method)
        @contextmanager
        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[U]:
            with self.entered(method(*args, **kwargs)) as value:
                yield face(value)

        return call

    def iterated(self, values: AsyncIterator[T]) -> Iterator[T]:
        """Yields what the iterator yields, and closes it."""

        async def following() -> Any:
            return await anext(values, _END)

        try:
            while (value := self.run(following())) is not _END:
                yield value
        finally:
            close = getattr(values, "aclose", None)
            # where the loop's thread drops the iterator, or the loop is over, asyncio closes the values by itself
            if close and threading.current_thread() is not self._thread and not self._loop.is_closed():
                self.run(close())

    @contextmanager
    def entered(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enters with what the context enters with."""
        held = _Held(context)
        value: T = self.run(held.enter())
        try:
            yield value
        except BaseException as error:
            self.run(held.leave(error))
            raise
        self.run(held.leave(None))


class _Held:
    """Holds a context open in one task, which enters and leaves the context, as task groups want it."""

    def __init__(self, context: AbstractAsyncContextManager[Any]) -> None:
        self._context = context
        self._error: BaseException | None = None

    async def enter(self) -> Any:
        """Returns what the context enters with. Raises what the context raises."""
        self._leave = asyncio.Event()
        self._entered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._hold())  # noqa: TID251  # `leave` awaits it
        try:
            return await self._entered
        except asyncio.CancelledError:
            self._task.cancel()
            raise

    async def leave(self, error: BaseException | None) -> None:
        """Leaves the context, for the error that ends the block. Raises another error that the context raises."""
        self._error = error
        self._leave.set()
        try:
            await self._task
        except BaseException as raised:  # the caller raises its own
            if raised is not error:
                raise

    async def _hold(self) -> None:
        try:
            async with self._context as value:
                self._entered.set_result(value)
                await self._leave.wait()
                if self._error:
                    raise self._error  # noqa: TRY301  # the context is told of it
        except BaseException as error:
            if self._entered.done():
                raise
            self._entered.set_exception(error)
