"""Chooses the chain that reaches a cluster: a relay where the runner can have a relay, else plain sessions."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog

from gateway.backends.contract import (
    READ,
    SIZE,
    Channel,
    ClusterApi,
    Event,
    Headers,
    HopCheck,
    PodMonitor,
    Response,
    Stats,
)
from gateway.backends.plain.backend import PlainBackend
from gateway.backends.relay import RelayBackend
from gateway.backends.relay.bootstrap import RelayUnsupported
from gateway.backends.relay.resume import RelayResume
from gateway.errors import HopFailed
from gateway.protocol.actor import Actor
from gateway.protocol.target import Command, Target

log = structlog.get_logger()


class AutoBackend:
    """A backend that uses the relay, and plain sessions as long as the runner cannot have a relay."""

    def __init__(self, name: str, relay: RelayBackend, plain: PlainBackend) -> None:
        self._name = name
        self._relay = relay
        self._plain = plain
        self._said = ""
        self.resume = AutoResume(relay.resume, self._has_relay)
        self.dial = relay.dial  # raises where the runner has no relay
        self.kube = AutoApi(self._chosen, lambda: not relay.unsupported)

    async def namespace(self) -> str:
        """See `Backend.namespace`."""
        return await (await self._chosen()).namespace()

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator[Channel]:
        """See `Backend.exec`."""
        async with (await self._chosen()).exec(target, command) as channel:
            yield channel

    def monitor(self, target: Target) -> PodMonitor:
        """See `Backend.monitor`."""
        return (self._plain if self._relay.unsupported else self._relay).monitor(target)

    async def check(self) -> list[HopCheck]:
        """See `Backend.check`; on the plain chain a hop's note has the reason too."""
        if not self._relay.unsupported:
            checks = await self._relay.check()
            if not self._relay.unsupported:
                self._said = ""
                return checks
        self._fall_back(self._relay.unsupported)
        checks = await self._plain.check()
        return [replace(hop, note=f"{hop.note}: {self._said}" if hop.note else "") for hop in checks]

    def stats(self) -> Stats:
        """See `Backend.stats`; the chains' counts are joined, and `leftovers` is the reaper's that both chains share."""
        plain, relay = self._plain.stats(), self._relay.stats()
        orphans = {where: count + relay.orphans.get(where, 0) for where, count in plain.orphans.items()}
        connections, restarts = (
            {**plain.connections, **relay.connections},
            {**plain.restarts, **relay.restarts},
        )
        reaching = (plain if self._relay.unsupported else relay).reaching
        return Stats(connections, relay.leftovers, orphans, restarts, reaching)

    async def _has_relay(self) -> bool:
        try:
            return await self._chosen() is self._relay
        except HopFailed:
            return False

    async def _chosen(self) -> PlainBackend | RelayBackend:
        failure = self._relay.unsupported
        if not failure:
            try:
                await self._relay.link()
            except RelayUnsupported as error:
                failure = error
            else:
                self._said = ""
                return self._relay
        self._fall_back(failure)
        return self._plain

    def _fall_back(self, failure: RelayUnsupported) -> None:
        if failure.message != self._said:
            self._said = failure.message
            log.warning("relay_impossible", cluster=self._name, reason=failure.message, instead="plain")


class AutoResume:
    """The `Resume` of the relay, which is ready if the relay would be chosen now."""

    def __init__(self, relay: RelayResume, ready: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        self.grace, self.survives = relay.grace, relay.survives
        self.keep, self.recover = relay.keep, relay.recover
        self.found, self.discard = relay.found, relay.discard
        self.ready = ready


class AutoApi:
    """The `ClusterApi` of the chain that is chosen at each call."""

    def __init__(
        self,
        chosen: Callable[[], Awaitable[PlainBackend | RelayBackend]],
        watches: Callable[[], bool],
        actor: Actor | None = None,
    ) -> None:
        self._chosen = chosen
        self._watches = watches
        self._actor = actor

    @property
    def watches(self) -> bool:
        """See `ClusterApi.watches`."""
        return self._watches()

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
        """See `ClusterApi.request`."""
        kube = await self._kube()
        async with kube.request(method, path, headers, body, upgrade=upgrade, seconds=seconds) as response:
            yield response

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """See `ClusterApi.get`."""
        return await (await self._kube()).get(path, seconds=seconds, size=size)

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """See `ClusterApi.list`."""
        return await (await self._kube()).list(path, seconds=seconds, size=size)

    async def watch(
        self, path: str, *, seconds: float = READ, size: int = SIZE
    ) -> AsyncGenerator[Event, None]:
        """See `ClusterApi.watch`."""
        async with aclosing((await self._kube()).watch(path, seconds=seconds, size=size)) as events:
            async for event in events:
                yield event

    def acting(self, actor: Actor | None) -> ClusterApi:
        """See `ClusterApi.acting`."""
        return AutoApi(self._chosen, self._watches, actor)

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """See `ClusterApi.may`."""
        return await (await self._kube()).may(verb, resource, namespace, name)

    async def _kube(self) -> ClusterApi:
        kube: ClusterApi = (await self._chosen()).kube
        return kube.acting(self._actor)
