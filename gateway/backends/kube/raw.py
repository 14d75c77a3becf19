"""The API server without a relay: one `kubectl get --raw` for each answer. There is no watch."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import Any

from gateway.backends.contract import READ, SIZE, Channel, Event, Headers, Response
from gateway.backends.kube import answers
from gateway.errors import HopFailed
from gateway.protocol.messages import Stream

Run = Callable[[tuple[str, ...]], AbstractAsyncContextManager[Channel]]


class RawApi:
    """See `ClusterApi`. `run`: a kubectl in the runner, without input."""

    watches = False

    def __init__(self, run: Run, context: str) -> None:
        self._run = run
        self._context = ("--context", context) if context else ()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        seconds: float = READ,
    ) -> AsyncIterator[Response]:
        """See `ClusterApi.request`: GET alone; kubectl sends no headers of ours."""
        del body
        if method != "GET":
            raise HopFailed("cluster_failed", f"there is no {method} without a relay, only GET")
        async with AsyncExitStack() as stack:
            async with answers.within(seconds):
                response = await stack.enter_async_context(self._exchange(method, path, headers))
            yield response

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """See `ClusterApi.get`."""
        async with answers.within(seconds):
            return (await answers.read(self._exchange, path, size))[0]

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """See `ClusterApi.list`."""
        async with answers.within(seconds):
            return await answers.pages(partial(answers.read, self._exchange), path, size)

    async def watch(
        self, path: str, *, seconds: float = READ, size: int = SIZE
    ) -> AsyncGenerator[Event, None]:
        """Refused: a kubectl, an `incus exec` and a place on the SSH connection for as long as somebody looks."""
        del path, seconds, size
        raise HopFailed("cluster_failed", "there is no watch without a relay")
        yield

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """Not worth a process: kubectl itself is told, a little later."""
        del verb, resource, namespace, name
        return None

    @asynccontextmanager
    async def _exchange(self, method: str, path: str, headers: Headers) -> AsyncIterator[Response]:
        """Begins with the first byte of kubectl's output: one that fails writes none."""
        del method, headers
        argv = ("kubectl", *self._context, "get", "--raw", path)
        async with self._run(argv) as channel, aclosing(_stdout(channel)) as output:
            first = await anext(output, b"")
            async with aclosing(_from(first, output)) as body:
                yield Response(200, (), body)


async def output_of(run: Run, argv: tuple[str, ...], size: int, seconds: float | None = None) -> bytes:
    """What that kubectl writes to stdout, at most `size` bytes, within `seconds` of its start. Raises HopFailed, also for
    an exit code that is not 0, and TimeoutError.
    """
    async with run(argv) as channel, asyncio.timeout(seconds), aclosing(_stdout(channel)) as output:
        return await answers.whole(Response(200, (), output), size)


async def _stdout(channel: Channel) -> AsyncGenerator[bytes, None]:
    """Yields what a kubectl writes to stdout. Raises HopFailed for an exit code that is not 0."""
    async for stream, data in channel.output():
        if stream is Stream.STDOUT:
            yield data
    outcome = await channel.wait()
    if outcome.exit_code != 0:
        raise HopFailed(outcome.code, outcome.message, outcome.status)


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for data in rest:
        yield data
