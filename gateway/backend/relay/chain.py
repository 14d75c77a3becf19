"""The backend of one cluster through its relay: one link kept warm, a stream for each session."""

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from gateway.backend import HopCheck, kubectl
from gateway.backend.fate import PodFate, Pods
from gateway.backend.host import Host
from gateway.backend.reaper import Ended, Reaper
from gateway.backend.relay.api import RelayApi
from gateway.backend.relay.arrival import NoRelay, link_line
from gateway.backend.relay.bytestream import RelayBytes
from gateway.backend.relay.channel import RelayChannel, no_room
from gateway.backend.relay.identity import Identity
from gateway.backend.relay.link import Link
from gateway.backend.relay.proxy import Proxy
from gateway.backend.relay.stream import Stream
from gateway.config import Cluster, Limits
from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop
from gateway.protocol.target import Command, Target, TerminalSize

_SIZE = TerminalSize(80, 24)  # until the client names its own
_BACKOFF = (0.1, 1.0, 2.0, 5.0, 10.0, 15.0)  # seconds between attempts, unless somebody wants the link sooner
_SOONEST = 1.0  # seconds
_HOPELESS = 60.0  # seconds between attempts where the runner cannot have a relay


class RelayChain:
    """Works inside `async with chain.running():`, with the host running around it and the reaper in it."""

    def __init__(
        self, cluster: Cluster, limits: Limits, host: Host, identity: Identity, reaper: Reaper
    ) -> None:
        self._cluster = cluster
        self._limits = limits
        self._host = host
        self._identity = identity
        self._reaper = reaper
        self._link: Link | None = None
        self._failure: HopFailed | None = None
        self._settled = asyncio.Event()  # an attempt has come to an end, one way or the other
        self._wanted = asyncio.Event()
        self._asides = 0  # streams that are no sessions
        self._killed = 0
        self.cluster = RelayApi(Proxy(self.link, self._aside, cluster.kube_context), lambda: self.failure)
        self._pods = Pods(self.cluster)

    @property
    def failure(self) -> HopFailed | None:
        """Why there is no link; None while there is one, or while the first attempt is under way."""
        return None if self._link and not self._link.lost else self._failure

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the link. On leaving it is closed, and no task is left."""
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(self._keep())
            try:
                async with self.cluster.running(), self._pods.running():
                    yield
            finally:
                keeper.cancel()

    def connections(self) -> Mapping[str, int]:
        """See `Backend.connections`; `channels` are sessions here, and the link is not one."""
        link = self._link
        streams = len(link.streams) - self._asides if link else 0
        counts = self._host.counts()
        return {**counts, "channels": counts["channels"] - bool(link) + streams, "links": int(bool(link))}

    def leftovers(self) -> Mapping[str, int]:
        """See `Backend.leftovers`."""
        return self._reaper.counts

    def orphans(self) -> Mapping[str, int]:
        """See `Backend.orphans`; what the relay's own lease ended, nobody hears of."""
        return {"finish": self._killed}

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator[RelayChannel]:
        """See `Backend.exec`."""
        link = await self.link()
        one = Ended(target, self._reaper.mark(command), self._exec)
        after = self._reaper.request(one, self._cluster.kube_context)
        stream = link.open({**self._request(target, one.command), **after})
        self._reaper.owes(one, link.about.get("pid"))
        channel = RelayChannel(stream, target, one.command, kubectl=bool(target.pod))
        try:
            await self._start(stream)
            await channel.start()
            yield channel
        finally:
            await self._end(link, stream)
            self._reaper.over_there(one, stream.exit, channel.outcome)

    @asynccontextmanager
    async def _exec(self, target: Target, command: Command) -> AsyncIterator[RelayChannel]:
        """No session: nobody looks at what it leaves."""
        async with self._aside(self._request(target, command)) as stream:
            channel = RelayChannel(stream, target, command, kubectl=bool(target.pod))
            await channel.start()
            yield channel

    @asynccontextmanager
    async def dial(self, address: str) -> AsyncIterator[RelayBytes]:
        """See `Dials.dial`."""
        link = await self.link()
        stream = link.open({"dial": address})
        try:
            await self._start(stream)
            if stream.exit:
                raise HopFailed("relay_failed", f"{address} cannot be reached: {stream.exit.get('error')}")
            yield RelayBytes(stream)
        finally:
            await self._end(link, stream)

    def fate(self, target: Target) -> PodFate:
        """See `Backend.fate`."""
        return PodFate(self._pods, target)

    async def check(self) -> list[HopCheck]:
        """See `Backend.check`. The link answers for ssh, incus and runner; kubectl for the cluster."""
        passed: list[HopCheck] = []
        try:
            async with asyncio.timeout(self._limits.check):
                link = await self.link()
                ms = round(await link.ping() * 1000, 1)
                passed += [
                    HopCheck(Hop.SSH, ms),
                    HopCheck(Hop.INCUS, ms),
                    HopCheck(Hop.RUNNER, ms, note=await self._note()),
                ]
                passed.append(await self._check_cluster())
        except TimeoutError:
            hop, code = (Hop.CLUSTER, "cluster_unreachable") if passed else (Hop.INCUS, "runner_timeout")
            error = HopFailed(code, f"no answer within {self._limits.check:g} s")
            if not passed and self._host.trouble:
                hop, error = Hop.SSH, self._host.trouble
            passed.append(HopCheck(hop, None, error.outcome()))
        except HopFailed as error:
            passed.append(HopCheck(error.hop, None, error.outcome()))
        return passed

    async def link(self) -> Link:
        """The link, when there is one soon. Raises HopFailed with the reason why not."""
        try:
            async with asyncio.timeout(self._limits.start):
                while not self._link or self._link.lost:
                    self._settled.clear()
                    self._wanted.set()
                    await self._settled.wait()
                    if self._failure and not self._link:
                        raise self._failure
                return self._link
        except TimeoutError:
            said = f"no relay in {self._cluster.vm} within {self._limits.start:g} s"
            raise self._failure or self._host.trouble or HopFailed("runner_timeout", said) from None

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

    async def _start(self, stream: Stream) -> None:
        try:
            async with asyncio.timeout(self._limits.start):
                await stream.start()
        except TimeoutError:
            said = f"no answer from {self._cluster.vm} within {self._limits.start:g} s"
            raise HopFailed("runner_timeout", said) from None

    async def _end(self, link: Link, stream: Stream) -> None:
        """Ends what still runs there, and waits for it, at most `Limits.finish` seconds."""
        try:
            if not stream.ended:
                stream.cancel()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.finish):
                        await stream.wait_ended()
                self._killed += bool(stream.exit and stream.exit.get("signal") == signal.SIGKILL)
        finally:
            link.forget(stream)

    @asynccontextmanager
    async def _aside(self, request: Mapping[str, Any]) -> AsyncIterator[Stream]:
        """A stream that is no session's; it has been started, or has ended."""
        link = await self.link()
        stream = link.open(request)
        self._asides += 1
        try:
            await self._start(stream)
            yield stream
        finally:
            await self._end(link, stream)
            self._asides -= 1

    async def _note(self) -> str:
        """The mode, and what of the runner is not as it should be."""
        async with self._aside({"check": True}) as stream:
            problem = stream.exit.get("error") if stream.exit else None
        said = f"; output that waits has memory only, {no_room(problem)}" if problem else ""
        return f"relay (mode {self._cluster.mode}){said}"

    async def _check_cluster(self) -> HopCheck:
        began = time.perf_counter()
        await self.cluster.get("/version")
        return HopCheck(Hop.CLUSTER, round((time.perf_counter() - began) * 1000, 1))

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                async with self._connected() as link:
                    failures = 0
                    await link.run()
            except HopFailed as error:
                self._failure = error
                self._settled.set()
            began = time.monotonic()
            self._wanted.clear()
            pause = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
            with suppress(TimeoutError):
                async with asyncio.timeout(_HOPELESS if isinstance(self._failure, NoRelay) else pause):
                    await self._wanted.wait()
                    await asyncio.sleep(max(0.0, began + _SOONEST * bool(failures) - time.monotonic()))
            failures += 1

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Link]:
        nonce = secrets.token_hex(12)
        async with self._host.process(link_line(self._cluster.vm, nonce)) as process:
            link = Link(process, self._reaper.told)
            try:
                async with asyncio.timeout(self._limits.start):
                    await link.arrive(nonce, self._identity.settings(self._cluster.name, self._limits))
            except TimeoutError:
                said = f"no relay in {self._cluster.vm} within {self._limits.start:g} s"
                raise HopFailed("runner_timeout", said) from None
            self._reaper.relay_is(link.about.get("pid"))
            self._link, self._failure = link, None
            self._settled.set()
            try:
                yield link
            finally:
                self._link = None
                link.fail(HopFailed("shutdown", "the gateway closed the link"))
                self._failure = link.lost
