"""Asks the API server without a relay: runs a `kubectl get --raw` for each answer, and offers no watch."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import Any

from gateway.backends.contract import READ, SIZE, Channel, ClusterApi, Event, Headers, Response
from gateway.backends.kube import answers
from gateway.errors import HopFailed
from gateway.protocol.actor import Actor
from gateway.protocol.messages import Stream

Run = Callable[[tuple[str, ...]], AbstractAsyncContextManager[Channel]]


class RawApi:
    """Implements `ClusterApi` with GET alone. `run` runs an argv in the runner, without input;
    `begin`: see `Cluster.kubectl_argv`; `actor`: see `ClusterApi.acting`.
    """

    watches = False

    def __init__(self, run: Run, begin: tuple[str, ...], actor: Actor | None = None) -> None:
        self._run = run
        self._begin = begin
        self._actor = actor

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        upgrade: str = "",
        seconds: float | None = READ,
    ) -> AsyncIterator[Response]:
        """See `ClusterApi.request`. Ignores `headers` and `body`; the response has the status 200 and no headers.
        Raises HopFailed for every method but GET, and for an upgrade.
        """
        del body
        if method != "GET" or upgrade:
            raise HopFailed("cluster_failed", f"there is no {upgrade or method} without a relay, only GET")
        async with AsyncExitStack() as stack:
            async with answers.within(READ if seconds is None else seconds):
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
        """Raises HopFailed: a watch would occupy a kubectl, an `incus exec` and an SSH channel all the time."""
        del path, seconds, size
        raise HopFailed("cluster_failed", "there is no watch without a relay")
        yield

    def acting(self, actor: Actor | None) -> ClusterApi:
        """See `ClusterApi.acting`."""
        return RawApi(self._run, self._begin, actor)

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """Returns None without asking: the command's own kubectl soon gets the same answer, and a process costs too
        much.
        """
        del verb, resource, namespace, name
        return None

    @asynccontextmanager
    async def _exchange(self, method: str, path: str, headers: Headers) -> AsyncIterator[Response]:
        """Runs `kubectl get --raw` and yields a response once kubectl has written its first byte: a kubectl that
        fails writes none. Raises HopFailed where kubectl fails, also while the body is read.
        """
        del method, headers
        argv = (*self._begin, *(self._actor.flags if self._actor else ()), "get", "--raw", path)
        async with self._run(argv) as channel, aclosing(_stdout(channel)) as output:
            first = await anext(output, b"")
            async with aclosing(_from(first, output)) as body:
                yield Response(200, (), body)


async def output_of(run: Run, argv: tuple[str, ...], size: int, seconds: float | None = None) -> bytes:
    """Runs `argv` with `run` and returns all that the process writes to stdout. Raises HopFailed for an exit code
    other than 0 and for more than `size` bytes; TimeoutError if the output does not end within `seconds` of the
    start.
    """
    async with run(argv) as channel, asyncio.timeout(seconds), aclosing(_stdout(channel)) as output:
        return await answers.whole(Response(200, (), output), size)


async def _stdout(channel: Channel) -> AsyncGenerator[bytes, None]:
    """Yields what the command writes to stdout. Raises HopFailed at the end for an exit code other than 0."""
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
