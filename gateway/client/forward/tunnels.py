"""Keeps tunnels whose connection has ended well for the next connection: to open one takes every hop's time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import GatewayFailed
from gateway.client.tunnel import PodPort, Tunnel, tunnel

_MOST = 8  # that are kept
_IDLE = 30.0  # seconds that one is kept


@dataclass(frozen=True)
class _Idle:
    made: Tunnel
    stack: AsyncExitStack
    since: float


class Tunnels:
    """Opens tunnels at `endpoint`, and keeps some that are idle while `run` runs."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._idle: list[_Idle] = []

    @asynccontextmanager
    async def connected(self, where: PodPort) -> AsyncIterator[Tunnel]:
        """Enters with a tunnel in which the pod's port is dialled. Raises GatewayFailed."""
        made, stack = await self._again(where) or await self._fresh(where)
        async with stack:
            yield made
            if made.spare and len(self._idle) < _MOST:
                now = asyncio.get_running_loop().time()
                self._idle.append(_Idle(made, stack.pop_all(), now))

    async def run(self) -> None:
        """Closes tunnels that nobody needs, and in the end all that are idle; never returns."""
        try:
            while True:
                await asyncio.sleep(_IDLE / 3)
                old = asyncio.get_running_loop().time() - _IDLE
                for one in [one for one in self._idle if one.since < old]:
                    self._idle.remove(one)
                    await one.stack.aclose()
        finally:
            for one in self._idle:
                await one.stack.aclose()

    async def _again(self, where: PodPort) -> tuple[Tunnel, AsyncExitStack] | None:
        while self._idle:
            one = self._idle.pop()
            try:
                if one.made.where == where and one.made.spare:
                    await one.made.connect()
                    return one.made, one.stack
            except GatewayFailed:
                pass  # it was lost meanwhile
            await one.stack.aclose()
        return None

    async def _fresh(self, where: PodPort) -> tuple[Tunnel, AsyncExitStack]:
        async with AsyncExitStack() as stack:
            made = await stack.enter_async_context(tunnel(self._endpoint, where))
            await made.connect()
            return made, stack.pop_all()
