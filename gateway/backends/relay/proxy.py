"""Connects to the `kubectl proxy` that the relay runs in the runner, on a Unix socket in the relay's private directory.

A TCP port would let every process in the runner do what the runner's account may. The proxy passes every method, and
the paths of the API alone; what a client may ask for is decided at the gateway. The proxy is the relay's: links and
gateways come and go without it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

from gateway.backends.outage_log import OutageLog
from gateway.backends.relay import proxy_command
from gateway.backends.relay.byte_stream import RelayBytes
from gateway.backends.relay.destination import Destination
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_proxy import LinkProxy
from gateway.backends.relay.link_stream import LinkStream
from gateway.errors import HopFailed

Open = Callable[[Link, Mapping[str, Any]], AbstractAsyncContextManager[LinkStream]]

FEATURE = "proxy"  # in HELLO: the relay takes the request
IDLE = (
    300.0  # seconds without a connection, after which the proxy ends: the next one reads a changed kubeconfig
)


class Generation(NamedTuple):
    """Names one run of the proxy: `number` is no other's of the daemon `relay`."""

    relay: object
    number: int


class Proxy:
    """Opens connections to the relay's proxy. `open_` starts a stream for a request on a link, and ends the stream on
    leaving; `begin`: see `Cluster.kubectl_argv`; `idle`: seconds without a connection after which the relay ends the
    proxy. `destination` is asked before the first connection to a new proxy is used.
    """

    def __init__(
        self,
        link: Callable[[], Awaitable[Link]],
        open_: Open,
        begin: tuple[str, ...],
        outages: OutageLog,
        destination: Destination,
        idle: float = IDLE,
    ) -> None:
        self._link = link
        self._open = open_
        self._asked = {**proxy_command.request(begin), "idle": idle, "stays": True}
        self._outages = outages
        self._destination = destination
        self._present: Generation | None = None  # the newest that is known, unless it is to be replaced
        self._since = 0.0  # when it began to listen
        self._replaced: Generation | None = None
        self._failed: Generation | None = None  # the last one that did not start
        self._finding = asyncio.Lock()
        # For a relay of an earlier version, which runs until its sessions have ended: it can go, with what only LinkProxy
        # uses, once no gateway is upgraded from a version whose relay's HELLO has no `features`
        self._earlier = LinkProxy(link, open_, begin, outages, destination, idle)

    @property
    def age(self) -> float:
        """Returns the seconds since the proxy began to listen; 0 where none is known to."""
        return time.monotonic() - self._since if self._present else self._earlier.age

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[RelayBytes]:
        """Opens a connection to the proxy, which the relay starts where none runs. Raises HopFailed where the link is
        lost, the proxy does not start, or two proxies in turn refuse.
        """
        link = await self._link()
        if not link.offers(FEATURE):
            self._present = None
            async with self._earlier.connection() as connection:
                yield connection
            return
        async with self._open(link, {"proxy": self.wanted(link)}) as stream:
            if stream.started is None:
                raise self._refused(link, stream.exit or {})
            await self._use(
                Generation(link.relay, stream.started.get("generation", 0)), stream.started.get("age", 0)
            )
            yield RelayBytes(stream)

    def wanted(self, link: Link) -> dict[str, Any]:
        """Returns what a request on the link says of the proxy that it is to go through."""
        return {**self._asked, "newer": self._newer(link)}

    def restart(self) -> None:
        """Has the next `connection` start another proxy; the running one ends with its last connection."""
        self._earlier.restart()
        self._replaced, self._present = self._present or self._replaced, None

    async def run(self) -> None:
        """Runs the proxies that are on a link; never returns."""
        await self._earlier.run()

    def _newer(self, link: Link) -> int:
        """Returns the number of the generation that is not to be used any more; 0 where there is none."""
        replaced = self._replaced
        return replaced.number if replaced and replaced.relay == link.relay else 0

    async def _use(self, generation: Generation, age: float) -> None:
        """Takes a connection to a proxy. Where the proxy is new, asks first where it leads."""
        since = time.monotonic() - age
        async with self._finding:
            if generation == self._present or self._is_old(generation):
                return
            await self._destination.find()
            self._present, self._since = generation, since
            self._outages.connected()

    def _is_old(self, generation: Generation) -> bool:
        """True if a newer proxy of the same relay is known, or wanted."""
        known = (one for one in (self._present, self._replaced) if one and one.relay == generation.relay)
        return any(generation.number <= one.number for one in known)

    def _refused(self, link: Link, exit_: Mapping[str, Any]) -> HopFailed:
        """Returns why there is no connection, and logs a proxy that did not start, once."""
        if "generation" not in exit_:
            return HopFailed("cluster_unreachable", f"kubectl proxy: {exit_.get('error')}")
        failed = Generation(link.relay, exit_["generation"])
        error = proxy_command.explain(exit_, str(exit_.get("words", "")).encode())
        if failed != self._failed:
            self._outages.refused(error)
        self._failed = failed
        return error
