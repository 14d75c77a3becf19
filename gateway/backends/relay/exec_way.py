"""Chooses how a command gets into a pod: the relay asks the cluster's API, or runs kubectl."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from gateway.backends.contract import ClusterApi
from gateway.backends.kube import kubectl, pod
from gateway.backends.kube.api import STALE
from gateway.backends.relay import remote_exec
from gateway.backends.relay.channel import RelayChannel
from gateway.backends.relay.cuts import Cuts
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_stream import LinkStream
from gateway.backends.relay.proxy import Proxy
from gateway.backends.relay.streams import RelayStreams
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target, Way
from gateway.relay import wire
from gateway.settings.config import Cluster, Limits

FEATURE = "exec"  # in HELLO: the relay takes the request
PROBE = 3.0  # seconds: what answers later is a proxy on the way that swallows upgrades (kubernetes#120318)
AGAIN = 60.0  # seconds until what did not answer is probed anew: an API server may only restart
_NO_V5 = "the API server does not speak v5.channel.k8s.io, which ends a command's input"
log = structlog.get_logger()


@dataclass
class _Known:
    """Holds what is known of one proxy of a relay: `generation` 0 is none that answers."""

    relay: object
    generation: int
    broken: str = ""  # why no command can go this way
    since: float = field(default_factory=time.monotonic)
    without_v5: bool = False
    cuts: bool = False  # what is broken is found out by sessions that are cut, not by a probe

    def holds(self, link: Link) -> bool:
        """True if it is known of the link's relay, and need not be found out anew."""
        doubtful = self.broken and not self.cuts and time.monotonic() - self.since > AGAIN
        return self.relay == link.relay and not doubtful


class ExecWay:
    """Chooses the way of each command, by the cluster's setting `exec`. With `auto`, a proxy is probed before its first
    command, and what turns out not to work is said once and left to kubectl, as long as nothing has begun.
    """

    def __init__(
        self, cluster: Cluster, limits: Limits, streams: RelayStreams, kube: ClusterApi, proxy: Proxy
    ) -> None:
        self._cluster = cluster
        self._limits = limits
        self._streams = streams
        self._kube = kube
        self._proxy = proxy
        self._known: _Known | None = None
        self._cuts = Cuts()
        self._probing = asyncio.Lock()
        self._said = ""

    async def describe(self, link: Link) -> str:
        """Returns the way that commands go now, and why `auto` has come to kubectl. Probes the proxy first where none was.
        Raises HopFailed.
        """
        if self._cluster.exec != "auto":
            return self._cluster.exec
        if not link.offers(FEATURE):
            return "kubectl, since the relay is of an older version"
        known = await self._probed(link)
        if known.broken:
            return f"kubectl, since {known.broken}"
        return f"api, and kubectl since {_NO_V5}" if known.without_v5 else "api"

    async def choose(self, link: Link, target: Target, command: Command) -> tuple[Way, Target]:
        """Returns the way of a command, and the target, for the API with the container that kubectl would take. Probes the
        proxy first where none was. Raises HopFailed.
        """
        setting = self._cluster.exec
        if setting == "kubectl" or not remote_exec.possible(target) or not link.offers(FEATURE):
            return "kubectl", target
        if setting == "auto" and not await self._usable(link, command):
            return "kubectl", target
        return "api", target if target.container else await self._contained(target, command)

    async def _usable(self, link: Link, command: Command) -> bool:
        known = await self._probed(link)
        return not known.broken and not (known.without_v5 and remote_exec.needs_v5(command))

    async def _contained(self, target: Target, command: Command) -> Target:
        """Returns the target with its pod's default container: the API server knows none where there are several."""
        path = f"/api/v1/namespaces/{target.namespace}/pods/{target.pod}"
        try:
            found = await self._kube.acting(command.actor).get(path)
        except HopFailed:
            return target  # the handshake says why
        return replace(target, container=pod.default_container(found))

    def request(self, link: Link, way: Way, target: Target, command: Command) -> dict[str, Any]:
        """Returns the request that makes the link's relay run a command this way."""
        if way == "kubectl":
            return self._streams.request(target, command)
        size = self._streams.size(command)
        return {
            **({"owner": command.owner} if command.owner else {}),
            **({"tty": [size.columns, size.rows]} if command.tty else {}),
            "exec": {
                **remote_exec.request(target, command),
                **self._which(),
                "answer": max(
                    self._limits.start - 1, self._limits.start / 2
                ),  # so that the relay says whose fault it was
                "proxy": self._proxy.wanted(link),
            },
        }

    def search(self, link: Link, way: Way, target: Target, command: Command) -> Any:
        """Returns what the link's relay is to run this way once a command has ended: an argv, or a request."""
        if way == "kubectl":
            return kubectl.argv(target, command, self._cluster.kubectl_argv)
        return {"exec": {**remote_exec.request(target, command), "proxy": self._proxy.wanted(link)}}

    async def start(
        self, link: Link, channel: RelayChannel, target: Target, command: Command, more: Mapping[str, Any]
    ) -> None:
        """Waits until the channel's command has started or ended. One that the API did not begin is begun again: over the
        next proxy where this one's credentials may be out of date, or with kubectl where the choice is free. `more` is what
        its request has beside the command. Raises HopFailed.
        """
        await self._streams.start(channel.stream)
        exit_: Mapping[str, Any] = channel.stream.exit or {}
        again: Way | None = None
        if exit_.get("refused") == 401 and self._proxy.age > STALE:
            self._proxy.restart()
            self._known, again = None, "api"
        elif self._cluster.exec == "auto" and remote_exec.not_begun(exit_):
            self._failed(exit_, command)
            again = "kubectl"
        if again:
            _drop(link, channel.stream)
            stream = link.open({**self.request(link, again, target, command), **more})
            channel.carry(stream, kubectl=again == "kubectl")
            await self._streams.start(stream)
        await channel.start()

    def ended(self, exit_: Mapping[str, Any] | None) -> None:
        """Takes a command's EXIT. After two whose connections something ended at the same age, `auto` has no more go
        this way: not to the relay's present proxy.
        """
        if not exit_ or "age" not in exit_ or "proxy" in exit_ or self._cluster.exec != "auto":
            return
        age = float(exit_["age"])
        known = self._known
        if (
            self._cuts.lost(age, time.monotonic())
            and known
            and known.generation == exit_.get("generation")
            and not known.broken
        ):
            known.cuts = True
            self._break(known, f"something before the API server ends a WebSocket after {age:.0f} s")

    def _which(self) -> dict[str, Any]:
        """Returns the field that binds a command to the proxy that was probed."""
        probed = self._cluster.exec == "auto" and self._known
        return {"generation": self._known.generation} if probed and self._known else {}

    async def _probed(self, link: Link) -> _Known:
        """Returns what is known of the relay's proxy, which is probed where it is another, and anew where no command could
        go this way some time ago. Raises HopFailed.
        """
        async with self._probing:  # of many commands that are the first one asks
            known = self._known
            if known and known.holds(link):
                return known
            asked = {**remote_exec.probe(), "answer": PROBE, "proxy": self._proxy.wanted(link)}
            async with self._streams.aside_on(link, {"exec": asked}) as stream:
                exit_ = stream.exit or {}
            self._known = known = _Known(link.relay, int(exit_.get("generation", 0)))
            if not remote_exec.answered(exit_):
                self._break(known, str(exit_.get("error", "the API server granted what there is not")))
            return known

    def _failed(self, exit_: Mapping[str, Any], command: Command) -> None:
        """Takes a command that did not begin: another proxy is probed anew, a refusal stands for this one."""
        if "other" in exit_ or "proxy" in exit_ or self._known is None:
            self._known = None
        elif remote_exec.needs_v5(command):
            self._known.without_v5 = True
            self._say(_NO_V5)
        else:
            self._break(self._known, str(exit_.get("error")))

    def _break(self, known: _Known, why: str) -> None:
        known.broken = why
        self._say(why)

    def _say(self, why: str) -> None:
        if why != self._said:  # once, also where it is found out again
            self._said = why
            log.warning("api_exec_impossible", cluster=self._cluster.name, reason=why, instead="kubectl")


def _drop(link: Link, stream: LinkStream) -> None:
    """Lets go of a stream that has ended; a command with a name is kept by the relay until END."""
    stream.tell(wire.END, b"")
    link.forget(stream)
