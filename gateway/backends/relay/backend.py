"""Runs sessions of one cluster through its relay: one link stays connected, each session has a stream of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog

from gateway.backends.contract import HopCheck, Stats
from gateway.backends.kube.api import RelayApi
from gateway.backends.kube.namespace import context_cluster, context_namespace
from gateway.backends.kube.pod_monitor import KubePodMonitor, Pods
from gateway.backends.kube.raw import RawApi
from gateway.backends.orphans.reaper import Ended, Reaper
from gateway.backends.outage_log import KUBECTL_PROXY, OutageLog
from gateway.backends.relay.bootstrap import RelayUnsupported
from gateway.backends.relay.channel import RelayChannel, no_room
from gateway.backends.relay.check import check
from gateway.backends.relay.credentials import RelayCredentials
from gateway.backends.relay.destination import Destination
from gateway.backends.relay.exec_way import ExecWay
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_supervisor import LinkSupervisor
from gateway.backends.relay.proxy import Proxy
from gateway.backends.relay.resume import RelayResume
from gateway.backends.relay.seal import Seal
from gateway.backends.relay.session_registry import SessionRegistry
from gateway.backends.relay.streams import RelayStreams
from gateway.backends.ssh.host import Host
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target
from gateway.settings.config import Cluster, Limits

log = structlog.get_logger()


class RelayBackend:
    """See `Backend`. Works inside `async with backend.running():`; enter the host before, and the reaper after it."""

    def __init__(
        self, cluster: Cluster, limits: Limits, host: Host, identity: RelayCredentials, reaper: Reaper
    ) -> None:
        self._cluster = cluster
        self._limits = limits
        self._host = host
        self._reaper = reaper
        registry = SessionRegistry(Seal(identity.key, cluster.name), cluster.name, identity.live)
        self._links = LinkSupervisor(cluster, limits, host, identity, reaper, registry, self._needed)
        self.link = self._links.link
        self._streams = streams = RelayStreams(cluster, limits, self.link)
        self.dial = streams.dial
        outages = OutageLog(cluster.name, KUBECTL_PROXY)
        leads_to = partial(context_cluster, streams.kubectl, cluster.kubectl_argv)
        destination = Destination(leads_to, self._moved)
        proxy = Proxy(self.link, streams.aside_on, cluster.kubectl_argv, outages, destination)
        self.kube = RelayApi(proxy, lambda: self.failure)
        self._way = ExecWay(cluster, limits, streams, self.kube, proxy)
        self.resume = RelayResume(
            streams,
            self._links,
            registry,
            reaper,
            limits,
            survives=identity.kept,
            way=self._way,
        )
        self._raw = RawApi(streams.kubectl, cluster.kubectl_argv)
        self._pods = Pods(self.kube)

    @property
    def failure(self) -> HopFailed | None:
        """Returns why there is no link; None while the link is up, and until the first attempt has failed."""
        return self._links.failure

    @property
    def unsupported(self) -> RelayUnsupported | None:
        """Returns `failure` if it says that the runner cannot have a relay, else None."""
        failure = self.failure
        return failure if isinstance(failure, RelayUnsupported) else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the link connected, and runs the tasks that use it. Leaving closes the link and ends all tasks."""
        async with self._links.running(), self.kube.running(), self._pods.running():
            yield

    def stats(self) -> Stats:
        """See `Backend.stats`. `channels` counts the streams of the link, without those of the gateway's own
        commands, in place of the link's channel. `orphans` has no `lease`: the relay does not report what its lease
        has ended.
        """
        link, counts = self._links.now, self._host.counts()
        streams = self._streams.sessions(link) if link else 0
        channels = counts["channels"] - bool(link) + streams
        connections = {**counts, "channels": channels, "links": int(bool(link))}
        restarts = self._host.restarts | self._links.restarts | self.kube.restarts | self._pods.restarts
        killed = {"finish": self._streams.killed}
        return Stats(connections, self._reaper.counts, killed, restarts, self._links.reaching)

    def _needed(self, link: Link) -> bool:
        return self._streams.sessions(link) + self.kube.asking > 0

    async def namespace(self) -> str:
        """See `Backend.namespace`."""
        cluster = self._cluster
        return cluster.namespace or await context_namespace(self._streams.kubectl, cluster.kubectl_argv)

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator[RelayChannel]:
        """See `Backend.exec`."""
        link = await self.link()
        command = self._reaper.mark(command)
        way, target = await self._way.choose(link, target, command)
        ended = Ended(target, command, self._streams.exec)
        search = self._reaper.request(ended, partial(self._way.search, link, way))
        stream = link.open({**self._way.request(link, way, target, command), **search})
        self._reaper.register_remote(ended, link.relay)
        channel = RelayChannel(stream, target, command, kubectl=bool(target.pod) and way == "kubectl")
        try:
            await self._way.start(link, channel, target, command, search)
            yield channel
        finally:
            try:
                await self._streams.end(link, channel.stream)
            finally:
                self._reaper.on_exit(ended, channel.stream.exit, channel.outcome)
                self._way.ended(channel.stream.exit)

    def _moved(self, before: str, now: str) -> None:
        """Takes a change of the runner's context: what is known of the cluster before is not true of the other."""
        log.warning("context_changed", cluster=self._cluster.name, before=before, now=now)
        self.kube.forget()
        self._pods.forget()

    def monitor(self, target: Target) -> KubePodMonitor:
        """See `Backend.monitor`."""
        return KubePodMonitor(self._pods, target)

    async def check(self) -> list[HopCheck]:
        """See `Backend.check`."""
        return await check(self.link, self._note, self._raw, self._limits.check, lambda: self._host.trouble)

    async def _note(self) -> str:
        """Returns the mode, the way of exec, and the reason why the runner's disk cannot hold journals, if the relay has one."""
        link = await self.link()
        way = await self._way.describe(link)
        async with self._streams.aside_on(link, {"check": True}) as stream:
            problem = stream.exit.get("error") if stream.exit else None
        remark = f"; unread output is kept in memory only, {no_room(problem)}" if problem else ""
        return f"relay (mode {self._cluster.mode}; exec {way}){remark}"
