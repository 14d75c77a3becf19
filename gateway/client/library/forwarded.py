"""Forwards a port, for programs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.client.endpoint import Endpoint
from gateway.client.forward.destination import Destination
from gateway.client.forward.forward import Forward
from gateway.client.forward.listener import PortTaken, listening
from gateway.client.forward.spec import Wanted
from gateway.client.forward.tunnels import Tunnels
from gateway.client.tunnel import PodPort
from gateway.errors import ConfigError, first

_STATES = 100  # that wait for their reader; older ones go


@dataclass(frozen=True)
class State:
    """Holds a change: `starting`, `healthy`, `connection failed`, `failed`; the pod where there is one, and why."""

    state: str
    pod: str
    message: str


class Forwarded:
    """A port that leads to a pod."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._states: asyncio.Queue[State] = asyncio.Queue()

    @property
    def url(self) -> str:
        """The port's URL for programs that speak HTTP."""
        return f"http://localhost:{self.port}"

    async def states(self) -> AsyncIterator[State]:
        """Yields the changes, for ever."""
        while True:
            yield await self._states.get()

    def tell(self, state: str, where: PodPort | None, why: str) -> None:
        """Takes note of a change."""
        if self._states.qsize() >= _STATES:
            self._states.get_nowait()
        self._states.put_nowait(State(state, where.pod if where else "", why))


@asynccontextmanager
async def forwarded(
    endpoint: Endpoint, wanted: Wanted, address: str, seconds: float
) -> AsyncIterator[Forwarded]:
    """Enters once the port listens and a pod has answered; leaving ends its connections. Raises GatewayFailed, ConfigError."""
    made = Forwarded(0)
    destination = Destination(endpoint, wanted, made.tell)
    await destination.find(seconds)
    try:
        with listening(address, wanted.local or 0) as sockets:
            made.port = sockets[0].getsockname()[1]
            forward = Forward(
                Tunnels(endpoint), destination, lambda why: made.tell("connection failed", None, why)
            )
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(forward.run(sockets))
                yield made
                running.cancel()
    except PortTaken:
        raise ConfigError(f"port {wanted.local} is taken by another program here") from None
    except BaseExceptionGroup as group:
        raise first(group) from None
