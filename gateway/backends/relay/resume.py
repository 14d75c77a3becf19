"""Starts, recovers and discards sessions that a relay keeps while links, or the gateway, are down."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from gateway.backends.orphans.reaper import Ended, Reaper
from gateway.backends.relay.exec_way import ExecWay
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_supervisor import LinkSupervisor
from gateway.backends.relay.resumable_channel import ResumableRelayChannel, Terms
from gateway.backends.relay.session_registry import SessionRegistry
from gateway.backends.relay.streams import RelayStreams
from gateway.backends.resume import RecoveredSession, ResumeListener
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target
from gateway.settings.config import Limits

_ALONE = 120.0  # seconds of grace, at most, where no later process could recover the session


class RelayResume:
    """See `Resume`. `survives`: a later process of this gateway has the same credentials."""

    def __init__(
        self,
        streams: RelayStreams,
        links: LinkSupervisor,
        registry: SessionRegistry,
        reaper: Reaper,
        limits: Limits,
        *,
        survives: bool,
        way: ExecWay,
    ) -> None:
        self.survives = survives
        self.grace = limits.grace if survives else min(limits.grace, _ALONE)
        self.found = registry.found
        self._streams = streams
        self._links = links
        self._registry = registry
        self._reaper = reaper
        self._limits = limits
        self._terms = Terms(links.next, self.grace, registry.seal)
        self._way = way

    async def ready(self) -> bool:
        """See `Resume.ready`."""
        try:
            await self._links.link()
        except HopFailed:
            return False
        return True

    @asynccontextmanager
    async def keep(
        self, target: Target, command: Command, name: str, note: Mapping[str, Any], owner: ResumeListener
    ) -> AsyncIterator[ResumableRelayChannel]:
        """See `Resume.keep`."""
        link = await self._links.link()
        command = self._reaper.mark(command)
        way, target = await self._way.choose(link, target, command)
        ended = Ended(target, command, self._streams.exec)
        signed = self._terms.seal.sign(name, note)
        more = {"name": name, "note": signed, "grace": self.grace, "newest": True}
        more |= self._reaper.request(ended, partial(self._way.search, link, way))
        stream = link.open({**self._way.request(link, way, target, command), **more})
        self._registry.has(name)
        new = RecoveredSession(name, note, 0, 0, 0, 0)
        channel = ResumableRelayChannel(stream, self._terms, new, target, command, owner)
        async with self._held(link, ended, channel):
            await self._way.start(link, channel, target, command, more)
            yield channel

    @asynccontextmanager
    async def recover(
        self, found: RecoveredSession, target: Target, command: Command, owner: ResumeListener
    ) -> AsyncIterator[ResumableRelayChannel]:
        """See `Resume.recover`."""
        channel = ResumableRelayChannel(None, self._terms, found, target, command, owner)
        async with self._held(self._links.now, Ended(target, command, self._streams.exec), channel):
            yield channel

    def discard(self, name: str) -> None:
        """See `Resume.discard`."""
        self._registry.discard(name, self._links.now)

    @asynccontextmanager
    async def _held(
        self, link: Link | None, ended: Ended, channel: ResumableRelayChannel
    ) -> AsyncIterator[None]:
        if link:  # without a link it is not known yet which relay has the session
            self._reaper.register_remote(ended, link.relay)
        try:
            yield
        finally:
            try:
                await self._registry.end(channel, self._links.now, self._limits.finish)
            finally:
                if not channel.left:
                    self._reaper.on_exit(ended, channel.stream.exit, channel.outcome)
                    self._way.ended(channel.stream.exit)
