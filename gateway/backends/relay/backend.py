"""The backend of one cluster through its relay: one link kept warm, a stream for each session."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gateway.backends.contract import HopCheck
from gateway.backends.kube import kubectl
from gateway.backends.kube.api import RelayApi
from gateway.backends.kube.namespace import context_namespace
from gateway.backends.kube.pod_monitor import KubePodMonitor, Pods
from gateway.backends.kube.raw import RawApi
from gateway.backends.orphans.reaper import Ended, Reaper
from gateway.backends.relay.byte_stream import RelayBytes
from gateway.backends.relay.channel import RelayChannel, no_room
from gateway.backends.relay.check import check
from gateway.backends.relay.credentials import RelayCredentials
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_stream import LinkStream
from gateway.backends.relay.link_supervisor import LinkSupervisor
from gateway.backends.relay.proxy import Proxy
from gateway.backends.relay.resumable_channel import ResumableRelayChannel
from gateway.backends.relay.session_registry import SessionRegistry
from gateway.backends.resume import RecoveredSession, ResumeListener
from gateway.backends.ssh.host import Host
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.settings.config import Cluster, Limits
from gateway.timeouts import wait_within

_SIZE = TerminalSize(80, 24)  # until the client names its own
_ALONE = 120.0  # seconds at most that a session is kept for a gateway that will not be there again


class RelayBackend:
    """Works inside `async with chain.running():`, with the host running around it and the reaper in it."""

    def __init__(
        self, cluster: Cluster, limits: Limits, host: Host, identity: RelayCredentials, reaper: Reaper
    ) -> None:
        self._cluster = cluster
        self._limits = limits
        self._host = host
        self._reaper = reaper
        self.survives = identity.kept
        self.grace = limits.grace if self.survives else min(limits.grace, _ALONE)
        self._keeper = SessionRegistry()
        self._asides: set[LinkStream] = set()  # those that are no sessions
        self._links = LinkSupervisor(cluster, limits, host, identity, reaper, self._keeper, self._needed)
        self._killed = 0
        self.link = self._links.link
        self.found = self._keeper.found
        self.cluster = RelayApi(Proxy(self.link, self._aside, cluster.kube_context), lambda: self.failure)
        self._raw = RawApi(self._kubectl, cluster.kube_context)
        self._pods = Pods(self.cluster)

    @property
    def failure(self) -> HopFailed | None:
        """Why there is no link; None while there is one, or while the first attempt is under way."""
        return self._links.failure

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the link. On leaving it is closed, and no task is left."""
        async with self._links.running(), self.cluster.running(), self._pods.running():
            yield

    def connections(self) -> Mapping[str, int]:
        """See `Backend.connections`; `channels` are sessions here, and the link is not one."""
        link, counts = self._links.now, self._host.counts()
        streams = self._sessions(link) if link else 0
        return {**counts, "channels": counts["channels"] - bool(link) + streams, "links": int(bool(link))}

    def _sessions(self, link: Link) -> int:
        return len({*link.streams.values()} - self._asides)

    def _needed(self, link: Link) -> bool:
        return self._sessions(link) + self.cluster.asking > 0

    def leftovers(self) -> Mapping[str, int]:
        """See `Backend.leftovers`."""
        return self._reaper.counts

    def orphans(self) -> Mapping[str, int]:
        """See `Backend.orphans`; what the relay's own lease ended, nobody hears of."""
        return {"finish": self._killed}

    async def namespace(self) -> str:
        """See `Backend.namespace`."""
        cluster = self._cluster
        return cluster.namespace or await context_namespace(self._kubectl, cluster.kube_context)

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator[RelayChannel]:
        """See `Backend.exec`."""
        link = await self.link()
        one = Ended(target, self._reaper.mark(command), self._exec)
        after = self._reaper.request(one, self._cluster.kube_context)
        stream = link.open({**self._request(target, one.command), **after})
        self._reaper.register_remote(one, link.relay)
        channel = RelayChannel(stream, target, one.command, kubectl=bool(target.pod))
        try:
            await self._start(stream)
            await channel.start()
            yield channel
        finally:
            await self._end(link, stream)
            self._reaper.on_exit(one, stream.exit, channel.outcome)

    @asynccontextmanager
    async def _exec(self, target: Target, command: Command) -> AsyncIterator[RelayChannel]:
        """No session: nobody looks at what it leaves."""
        async with self._aside(self._request(target, command)) as stream:
            channel = RelayChannel(stream, target, command, kubectl=bool(target.pod))
            await channel.start()
            yield channel

    async def keeping(self) -> bool:
        """See `ResumableBackend.keeping`."""
        try:
            await self.link()
        except HopFailed:
            return False
        return True

    @asynccontextmanager
    async def keep(
        self, target: Target, command: Command, name: str, note: Mapping[str, Any], owner: ResumeListener
    ) -> AsyncIterator[ResumableRelayChannel]:
        """See `ResumableBackend.keep`."""
        link = await self.link()
        one = Ended(target, self._reaper.mark(command), self._exec)
        kept = {"name": name, "note": dict(note), "grace": self.grace, "newest": True}
        after = self._reaper.request(one, self._cluster.kube_context)
        stream = link.open({**self._request(target, one.command), **after, **kept})
        self._keeper.has(name)
        new = RecoveredSession(name, note, 0, 0, 0, 0)
        channel = ResumableRelayChannel(stream, self._links.next, new, target, one.command, owner, self.grace)
        async with self._kept(link, one, channel):
            await self._start(stream)
            yield channel

    @asynccontextmanager
    async def adopt(
        self, found: RecoveredSession, target: Target, command: Command, owner: ResumeListener
    ) -> AsyncIterator[ResumableRelayChannel]:
        """See `ResumableBackend.adopt`."""
        channel = ResumableRelayChannel(None, self._links.next, found, target, command, owner, self.grace)
        async with self._kept(self._links.now, Ended(target, command, self._exec), channel):
            yield channel

    @asynccontextmanager
    async def _kept(
        self, link: Link | None, one: Ended, channel: ResumableRelayChannel
    ) -> AsyncIterator[None]:
        if link:  # without one nobody knows yet which relay it would be
            self._reaper.register_remote(one, link.relay)
        try:
            yield
        finally:
            await self._keeper.end(channel, self._links.now, self._limits.finish)
            if not channel.left:
                self._reaper.on_exit(one, channel.stream.exit, channel.outcome)

    def disown(self, name: str) -> None:
        """See `ResumableBackend.disown`."""
        self._keeper.disown(name, self._links.now)

    @asynccontextmanager
    async def dial(self, address: str) -> AsyncIterator[RelayBytes]:
        """See `Dialer.dial`."""
        link = await self.link()
        stream = link.open({"dial": address})
        try:
            await self._start(stream)
            if stream.exit:
                raise HopFailed("relay_failed", f"{address} cannot be reached: {stream.exit.get('error')}")
            yield RelayBytes(stream)
        finally:
            await self._end(link, stream)

    def fate(self, target: Target) -> KubePodMonitor:
        """See `Backend.fate`."""
        return KubePodMonitor(self._pods, target)

    async def check(self) -> list[HopCheck]:
        """See `Backend.check`."""
        return await check(self.link, self._note, self._raw, self._limits.check, lambda: self._host.trouble)

    def _request(self, target: Target, command: Command) -> dict[str, Any]:
        argv = kubectl.argv(target, command, self._cluster.kube_context)
        if not command.tty:
            return {"argv": argv}
        size = command.size or _SIZE
        return {
            "argv": argv,
            "tty": [size.columns, size.rows],
            "raw": bool(target.pod),  # the pod's terminal does all that a terminal does
            "apart": bool(target.pod),
            "env": {"TERM": "xterm-256color"},
        }

    async def _start(self, stream: LinkStream) -> None:
        try:
            async with asyncio.timeout(self._limits.start):
                await stream.start()
        except TimeoutError:
            said = f"no answer from {self._cluster.vm} within {self._limits.start:g} s"
            raise HopFailed("runner_timeout", said) from None

    async def _end(self, link: Link, stream: LinkStream) -> None:
        """Ends what still runs there, and waits for it, at most `Limits.finish` seconds."""
        try:
            if not stream.ended:
                stream.cancel()
                await wait_within(stream.wait_ended(), self._limits.finish)
                self._killed += bool(stream.exit and stream.exit.get("signal") == signal.SIGKILL)
        finally:
            link.forget(stream)

    @asynccontextmanager
    async def _aside(self, request: Mapping[str, Any]) -> AsyncIterator[LinkStream]:
        """A stream that is no session's; it has been started, or has ended."""
        link = await self.link()
        stream = link.open(request)
        self._asides.add(stream)
        try:
            await self._start(stream)
            yield stream
        finally:
            await self._end(link, stream)
            self._asides.discard(stream)

    @asynccontextmanager
    async def _kubectl(self, argv: tuple[str, ...]) -> AsyncIterator[RelayChannel]:
        async with self._aside({"argv": argv}) as stream:
            channel = RelayChannel(stream, Target(self._cluster.name), kubectl.OURS, kubectl=True)
            await channel.start()
            channel.write_eof()
            yield channel

    async def _note(self) -> str:
        """The mode, and what of the runner is not as it should be."""
        async with self._aside({"check": True}) as stream:
            problem = stream.exit.get("error") if stream.exit else None
        said = f"; output that waits has memory only, {no_room(problem)}" if problem else ""
        return f"relay (mode {self._cluster.mode}){said}"
