"""The API server without a relay: one `kubectl get --raw` for each answer. There is no watch."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from gateway.backends.contract import READ, SIZE, Channel, Event
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

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """See `ClusterApi.get`."""
        async with answers.within(seconds):
            return (await self._get(path, size))[0]

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """See `ClusterApi.list`."""
        async with answers.within(seconds):
            return await answers.pages(self._get, path, size)

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

    async def _get(self, path: str, size: int) -> tuple[dict[str, Any], int]:
        body = await output_of(self._run, ("kubectl", *self._context, "get", "--raw", path), size)
        return answers.decode(200, body), len(body)


async def output_of(run: Run, argv: tuple[str, ...], size: int, seconds: float | None = None) -> bytes:
    """What that kubectl writes to stdout, at most `size` bytes, within `seconds` of its start. Raises HopFailed, also for
    an exit code that is not 0, and TimeoutError.
    """
    body = bytearray()
    async with run(argv) as channel, asyncio.timeout(seconds):
        async for stream, data in channel.output():
            if stream is Stream.STDOUT:
                body += data
            if len(body) > size:
                raise answers.too_much(size)
        outcome = await channel.wait()
    if outcome.exit_code != 0:
        raise HopFailed(outcome.code, outcome.message, outcome.status)
    return bytes(body)
