"""Which chain reaches a cluster: through a relay where the runner can have one, else the plain one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog

from gateway.backend import Backend, Channel, HopCheck
from gateway.backend.host import Host
from gateway.backend.plain import PlainChain
from gateway.backend.relay import RelayChain
from gateway.backend.relay.arrival import NoRelay
from gateway.backend.relay.identity import Identity
from gateway.backend.ssh import Prompt
from gateway.config import Cluster, Limits
from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop
from gateway.protocol.target import Command, Target

log = structlog.get_logger()


@asynccontextmanager
async def chain(
    cluster: Cluster, limits: Limits, prompt: Prompt | None, identity: Identity
) -> AsyncIterator[Backend]:
    """The backend that the cluster's mode asks for, with its connection to the management host kept warm."""
    host = Host(cluster, limits, prompt)
    async with host.running():
        plain = PlainChain(cluster, limits, host)
        if cluster.mode == "plain":
            yield plain
            return
        relay = RelayChain(cluster, limits, host, identity)
        async with relay.running():
            yield relay if cluster.mode == "relay" else AutoChain(cluster.name, relay, plain)


class AutoChain:
    """The relay; plain sessions as long as the runner cannot have one."""

    def __init__(self, name: str, relay: RelayChain, plain: PlainChain) -> None:
        self._name = name
        self._relay = relay
        self._plain = plain
        self._said = ""

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator[Channel]:
        """See `Backend.exec`."""
        async with (await self._chosen()).exec(target, command) as channel:
            yield channel

    async def check(self) -> list[HopCheck]:
        """See `Backend.check`; the runner's row says which mode it is."""
        try:
            chosen = await self._chosen()
        except HopFailed as error:
            return [HopCheck(error.hop, None, error.outcome())]
        note = f"plain: {self._said}" if chosen is self._plain else ""
        return [HopCheck(one.hop, one.ms, one.outcome, note if one.hop is Hop.RUNNER and note else one.note)
                for one in await chosen.check()]  # fmt: skip

    def connections(self) -> Mapping[str, int]:
        """See `Backend.connections`."""
        return self._relay.connections()

    async def _chosen(self) -> PlainChain | RelayChain:
        failure = self._relay.failure
        if not isinstance(failure, NoRelay):
            try:
                await self._relay.link()
            except NoRelay as error:
                failure = error
            else:
                self._said = ""
                return self._relay
        if failure.message != self._said:
            self._said = failure.message
            log.warning("relay_impossible", cluster=self._name, reason=failure.message, instead="plain")
        return self._plain
