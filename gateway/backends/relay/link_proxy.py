"""Runs `kubectl proxy` on a link, for a relay of an earlier version, which runs none by itself (see `Proxy`)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from gateway.backends.outage_log import OutageLog
from gateway.backends.relay.byte_stream import RelayBytes
from gateway.backends.relay.destination import Destination
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_proxy_generation import ProxyGeneration
from gateway.backends.relay.link_stream import LinkStream
from gateway.errors import HopFailed
from gateway.supervision import defect

Open = Callable[[Link, Mapping[str, Any]], AbstractAsyncContextManager[LinkStream]]

_AGAIN = 1.0  # seconds between attempts to start the proxy


class LinkProxy:
    """Runs one proxy on demand, while `run` runs, and beside it those that were replaced and still have connections.
    `open_` starts a stream for a request, and ends the stream on leaving; `begin`: see `Cluster.kubectl_argv`; `idle`:
    seconds without a use after which the proxy ends.
    """

    def __init__(
        self,
        link: Callable[[], Awaitable[Link]],
        open_: Open,
        begin: tuple[str, ...],
        outages: OutageLog,
        destination: Destination,
        idle: float,
    ) -> None:
        self._link = link
        self._open = open_
        self._begin = begin
        self._outages = outages
        self._destination = destination
        self._idle = idle
        self._current: ProxyGeneration | None = None  # the proxy that listens and takes new connections
        self._numbers: set[int] = set()  # of the generations whose proxy runs
        self._failed = float("-inf")
        self._failure: HopFailed | None = None
        self._wanted = asyncio.Event()
        self._settled = asyncio.Event()

    @property
    def age(self) -> float:
        """Returns the seconds since the proxy began to listen; 0 where none listens."""
        return self._current.age if self._current else 0.0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[RelayBytes]:
        """Opens a connection to the proxy, and starts the proxy where it is down. Raises HopFailed where the link is
        lost, the proxy does not start, or two proxies in turn refuse.
        """
        for _ in range(2):  # a proxy that has ended, which is not known yet, refuses
            generation = await self._ready()
            with generation.used():
                async with self._open(await self._link(), {"dial": generation.address}) as stream:
                    if not stream.exit:
                        yield RelayBytes(stream)
                        return
                    why = stream.exit.get("error")
                    self._replace(generation)
        raise HopFailed("cluster_unreachable", f"kubectl proxy: {why}")

    def restart(self) -> None:
        """Has the next `connection` start another proxy; the running one ends with its last connection."""
        if self._current:
            self._replace(self._current)

    def _replace(self, generation: ProxyGeneration) -> None:
        generation.retire()
        if self._current is generation:
            self._current = None

    async def run(self) -> None:
        """Starts a proxy whenever a connection needs one; never returns. Logs an error of a proxy that does not start,
        and passes the error to the connections that wait for the start.
        """
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wanted.wait()
                try:
                    started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    tasks.create_task(self._serve(started))
                    await started
                except HopFailed as error:
                    self._outages.refused(error)
                    self._fail(error)
                except Exception:
                    self._fail(defect())
                    raise

    def _fail(self, error: HopFailed) -> None:
        self._failure, self._failed = error, time.monotonic()
        self._wanted.clear()
        self._settled.set()

    async def _ready(self) -> ProxyGeneration:
        while not self._current:
            if self._failure and time.monotonic() - self._failed < _AGAIN:
                raise self._failure
            self._settled.clear()
            self._wanted.set()
            await self._settled.wait()
        return self._current

    async def _serve(self, started: "asyncio.Future[None]") -> None:
        """Runs one generation of the proxy, and sets `started` once it listens, or to the error of its start."""
        number = min(set(range(1, len(self._numbers) + 2)) - self._numbers)
        self._numbers.add(number)
        generation = None
        try:
            link = await self._link()
            directory = link.about.get("directory")
            generation = ProxyGeneration(f"{directory}/kubectl-{number}.sock", self._begin, self._idle)
            async with self._open(link, generation.request) as stream:
                await generation.start(stream)
                await self._destination.find()
                self._current, self._failure = generation, None
                self._outages.connected()
                self._wanted.clear()
                self._settled.set()
                started.set_result(None)
                await generation.until_unused(stream)
        except HopFailed as error:
            if not started.done():  # else the link was lost later, which `LinkSupervisor` logs
                started.set_exception(error)
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)
        finally:
            self._numbers.discard(number)
            if self._current is generation:
                self._current = None
