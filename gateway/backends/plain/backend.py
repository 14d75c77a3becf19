"""Runs one `incus exec … bash -lc … kubectl` for each session. Needs bash and kubectl in the runner."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial

from gateway.backends.contract import HopCheck, Stats, blame
from gateway.backends.kube import kubectl
from gateway.backends.kube.namespace import context_namespace
from gateway.backends.kube.pod_monitor import KubePodMonitor, Pods
from gateway.backends.kube.raw import RawApi
from gateway.backends.orphans.reaper import Ended, Reaper
from gateway.backends.plain.channel import PlainChannel
from gateway.backends.plain.lease import Lease
from gateway.backends.plain.lease_protocol import TICK
from gateway.backends.plain.plugin_watch import plugin_watch
from gateway.backends.plain.wrapper import exec_line
from gateway.backends.process import Process
from gateway.backends.ssh.host import Host
from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.settings.config import Cluster, Limits
from gateway.timeouts import wait_within

STARTS = 16  # sessions that start at a time; the others wait, or all of them would miss their time limit
_SIZE = TerminalSize(80, 24)  # until the client names its own
_LOOK = Command(("sh",), stdout=True)  # its argv is cut off again: the lease puts the search's in its place


class PlainBackend:
    """Runs sessions of one cluster, inside `async with backend.running():`. A host and a reaper are given together, and
    run around the backend; without them the backend runs its own. `tick`: seconds between the bytes that keep the lease.
    """

    def __init__(
        self,
        cluster: Cluster,
        limits: Limits,
        host: Host | None = None,
        reaper: Reaper | None = None,
        *,
        tick: float = TICK,
    ) -> None:
        self._cluster = cluster
        self._limits = limits
        self._own = host is None
        self._host = host or Host(cluster, limits)
        self._lease = Lease(cluster, limits, self._host, tick)
        self.kube = RawApi(self._kubectl, cluster.kubectl_argv)
        self.resume = self.dial = None
        self._pods = Pods(self.kube)
        self._reaper = reaper or Reaper(limits)
        self._turns = asyncio.Semaphore(STARTS)
        self._killed = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the lease and the watches of pods, and the backend's own host and reaper. Leaving ends all their tasks."""
        async with AsyncExitStack() as stack:
            if self._own:
                await stack.enter_async_context(self._host.running())
            await stack.enter_async_context(self._lease.running())
            if self._own:
                await stack.enter_async_context(self._reaper.running())
            await stack.enter_async_context(self._pods.running())
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            yield

    def stats(self) -> Stats:
        """See `Backend.stats`. The lease's channel counts under `leases`, and not under `channels`."""
        connections = {**self._host.counts(), "leases": int(self._lease.up)}
        restarts = self._host.restarts | self._lease.restarts | self._pods.restarts
        killed = {"finish": self._killed, "lease": self._lease.ended}
        reaching = None if connections["connections"] else Hop.SSH
        return Stats(connections, self._reaper.counts, killed, restarts, reaching)

    async def namespace(self) -> str:
        """See `Backend.namespace`."""
        cluster = self._cluster
        return cluster.namespace or await context_namespace(self._kubectl, cluster.kubectl_argv)

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator[PlainChannel]:
        """See `Backend.exec`."""
        command = self._reaper.mark(command)
        channel: PlainChannel | None = None
        try:
            async with AsyncExitStack() as stack:
                async with self._turn():
                    channel = await stack.enter_async_context(self._exec(target, command))
                yield channel
        finally:
            looked = partial(self._lease.looked, command.session)
            if channel:
                self._reaper.over(Ended(target, command, self._exec, looked), channel.outcome)
            else:
                looked()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Waits for one of STARTS turns to start a command in the runner, and holds the turn until the block is left. Raises
        HopFailed after `Limits.turn` seconds: why the last login failed, else `runner_busy`.
        """
        try:
            async with asyncio.timeout(self._limits.turn):
                await self._turns.acquire()
        except TimeoutError:
            why = f"{self._cluster.vm} was busy with the start of other sessions for {self._limits.turn:g} s"
            raise self._host.trouble or HopFailed("runner_busy", why) from None
        try:
            yield
        finally:
            self._turns.release()

    @asynccontextmanager
    async def _exec(self, target: Target, command: Command) -> AsyncIterator[PlainChannel]:
        argv = kubectl.argv(target, command, self._cluster.kubectl_argv)
        nonce = secrets.token_hex(12)
        line = self._line(nonce, argv, tty=command.tty)
        async with self._host.process(line, (command.size or _SIZE) if command.tty else None) as process:
            self._lease.know(nonce, self._look(target, command))
            started = partial(self._lease.started, nonce)
            slept = self._host.sleeps.recent
            channel = PlainChannel(process, nonce, target, command, started=started, slept=slept)
            async with self._ending(process, nonce, channel):
                await self._start(channel, argv)
                async with plugin_watch(self._tasks, channel, self._kubectl, self._limits.start):
                    yield channel

    def _line(self, nonce: str, argv: tuple[str, ...], *, tty: bool = False) -> str:
        return exec_line(self._cluster.vm, nonce, argv, tty=tty, project=self._cluster.incus_project)

    def _look(self, target: Target, command: Command) -> tuple[str, ...]:
        """Returns what the lease needs to search the container if the gateway is killed: the session's mark and the
        kubectl exec before a command; nothing for a command without a mark.
        """
        if not command.tracked:
            return ()
        look = kubectl.argv(target, replace(_LOOK, actor=command.actor), self._cluster.kubectl_argv)
        return (command.session, *look[: -len(_LOOK.argv)])

    def monitor(self, target: Target) -> KubePodMonitor:
        """See `Backend.monitor`."""
        return KubePodMonitor(self._pods, target)

    async def check(self) -> list[HopCheck]:
        """See `Backend.check`. Runs one `kubectl get --raw /version`: ssh has answered when the channel is open, incus and
        the runner when the wrapper is ready, the cluster when kubectl has ended with 0.
        """
        passed: list[HopCheck] = []
        try:
            async with asyncio.timeout(self._limits.check):
                await self._check(passed)
        except TimeoutError:
            hop = [Hop.SSH, Hop.INCUS, Hop.CLUSTER][min(len(passed), 2)]
            code = {
                Hop.SSH: "ssh_unreachable",
                Hop.INCUS: "runner_timeout",
                Hop.CLUSTER: "cluster_unreachable",
            }[hop]
            error = HopFailed(code, f"no answer within {self._limits.check:g} s")
            if hop is Hop.SSH and self._host.trouble:
                error = self._host.trouble
            passed.append(HopCheck(hop, None, error.outcome()))
        except HopFailed as error:
            blame(passed, error.outcome())
        return passed

    async def _check(self, passed: list[HopCheck]) -> None:
        began = time.perf_counter()

        def answered(*hops: Hop) -> None:
            nonlocal began
            now = time.perf_counter()
            mode = f"plain (mode {self._cluster.mode})"
            passed.extend(
                HopCheck(hop, round((now - began) * 1000, 1), note=mode if hop is Hop.RUNNER else "")
                for hop in hops
            )
            began = now

        nonce = secrets.token_hex(12)
        argv = (*self._cluster.kubectl_argv, "get", "--raw", "/version")
        async with self._host.process(self._line(nonce, argv), None) as process:
            answered(Hop.SSH)
            channel = PlainChannel(process, nonce, Target(self._cluster.name), kubectl.OURS, kubectl=True)
            async with self._ending(process, nonce, channel):
                await self._start(channel, argv)
                answered(Hop.INCUS, Hop.RUNNER)
                async for _ in channel.output():
                    pass
                outcome = await channel.wait()
                if outcome.exit_code == 0:
                    answered(Hop.CLUSTER)
                else:
                    blame(passed, outcome)

    @asynccontextmanager
    async def _kubectl(self, argv: tuple[str, ...]) -> AsyncIterator[PlainChannel]:
        """Runs a kubectl of the gateway's own in the runner, with no input. Raises HopFailed. The lease gets to know that
        kubectl only if its end is uncertain: a kubectl that ends soon needs no lease.
        """
        nonce = secrets.token_hex(12)
        async with self._host.process(self._line(nonce, argv), None) as process:
            channel = PlainChannel(process, nonce, Target(self._cluster.name), kubectl.OURS, kubectl=True)
            async with self._ending(process, nonce, channel):
                await self._start(channel, argv)
                channel.write_eof()
                yield channel

    async def _start(self, channel: PlainChannel, argv: tuple[str, ...]) -> None:
        try:
            async with asyncio.timeout(self._limits.start):
                await channel.start(argv)
        except TimeoutError:
            message = f"no answer from {self._cluster.vm} within {self._limits.start:g} s"
            raise HopFailed("runner_timeout", message) from None

    @asynccontextmanager
    async def _ending(self, process: Process, nonce: str, channel: PlainChannel) -> AsyncIterator[None]:
        """Ends the process on leaving. The lease forgets a command whose end is certain, and ends any other."""
        gone = False
        try:
            try:
                yield
            finally:
                gone = await self._end(process, ended=channel.ended)
        finally:
            (self._lease.forget if gone and channel.over else self._lease.end)(nonce)

    async def _end(self, process: Process, *, ended: bool) -> bool:
        """Sends TERM, sends TERM again (by which the wrapper sends KILL), then closes the channel, each with its part of
        `Limits.finish` seconds. True if a TERM closed the process. `ended`: the command's output is complete, and the
        wrapper waits for one TERM.
        """
        limit = self._limits.finish
        for step in range(1 if ended else 2):
            process.terminate()
            if await wait_within(process.wait_closed(), limit * 0.4):
                self._killed += step
                return True
        process.close()
        await wait_within(process.wait_closed(), limit * 0.2)
        return False
