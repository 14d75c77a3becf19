"""Opens, starts and ends streams of a relay's link, and runs the gateway's own commands over such streams."""

import asyncio
import errno
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gateway.backends.kube import kubectl
from gateway.backends.relay.byte_stream import RelayBytes
from gateway.backends.relay.channel import RelayChannel
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_stream import LinkStream
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.settings.config import Cluster, Limits
from gateway.timeouts import wait_within

_SIZE = TerminalSize(80, 24)  # until the client names its own


class RelayStreams:
    """Opens streams on the link that `link` returns. `killed` counts commands that SIGKILL ended after END."""

    def __init__(self, cluster: Cluster, limits: Limits, link: Callable[[], Awaitable[Link]]) -> None:
        self.killed = 0
        self._cluster = cluster
        self._limits = limits
        self._link = link
        self._asides: set[LinkStream] = set()  # streams of the gateway's own commands

    def sessions(self, link: Link) -> int:
        """Returns how many streams of a link belong to sessions or to connections of `dial`."""
        return len({*link.streams.values()} - self._asides)

    def request(self, target: Target, command: Command) -> dict[str, Any]:
        """Returns the request that makes the relay run a command, in a terminal where the command wants one."""
        argv = kubectl.argv(target, command, self._cluster.kubectl_argv)
        begin = {"words": len(self._cluster.kubectl_argv), "seconds": self._limits.start}
        whose = {"owner": command.owner} if command.owner else {}
        request = {"argv": argv, **whose, **({"kubectl": begin} if target.pod else {})}
        if not command.tty:
            return request
        size = self.size(command)
        return request | {
            "tty": [size.columns, size.rows],
            "raw": bool(target.pod),  # the pod's own terminal echoes and handles special characters
            "apart": bool(target.pod),
            "env": {"TERM": "xterm-256color"},
        }

    def size(self, command: Command) -> TerminalSize:
        """Returns the size with which a command's terminal begins."""
        return command.size or _SIZE

    async def start(self, stream: LinkStream) -> None:
        """Waits until the stream has been started or has ended, at most `Limits.start` seconds. Raises HopFailed."""
        try:
            async with asyncio.timeout(self._limits.start):
                await stream.start()
        except TimeoutError:
            message = f"no answer from {self._cluster.vm} within {self._limits.start:g} s"
            raise HopFailed("runner_timeout", message) from None

    async def end(self, link: Link, stream: LinkStream) -> None:
        """Ends what still runs on a stream, waiting at most `Limits.finish` seconds, and removes the stream."""
        try:
            if not stream.ended:
                stream.cancel()
                await wait_within(stream.wait_ended(), self._limits.finish)
                self.killed += bool(stream.exit and stream.exit.get("signal") == signal.SIGKILL)
        finally:
            link.forget(stream)

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator[RelayChannel]:
        """Runs a command of the gateway's own: nothing is searched for after its end. Leaving ends the command.
        Raises HopFailed.
        """
        async with self.aside(self.request(target, command)) as stream:
            channel = RelayChannel(stream, target, command, kubectl=bool(target.pod))
            await channel.start()
            yield channel

    @asynccontextmanager
    async def dial(self, address: str) -> AsyncIterator[RelayBytes]:
        """See `Dial`."""
        link = await self._link()
        stream = link.open({"dial": address})
        try:
            await self.start(stream)
            if stream.started is None:
                raise _unreached(address, stream.exit or {})
            yield RelayBytes(stream)
        finally:
            await self.end(link, stream)

    @asynccontextmanager
    async def aside(self, request: Mapping[str, Any]) -> AsyncIterator[LinkStream]:
        """Sends a request of the gateway's own. See `aside_on`."""
        async with self.aside_on(await self._link(), request) as stream:
            yield stream

    @asynccontextmanager
    async def aside_on(self, link: Link, request: Mapping[str, Any]) -> AsyncIterator[LinkStream]:
        """Sends a request of the gateway's own, which `sessions` leaves out. Yields its stream, started or ended
        already; leaving ends the stream. Raises HopFailed.
        """
        stream = link.open(request)
        self._asides.add(stream)
        try:
            await self.start(stream)
            yield stream
        finally:
            try:
                await self.end(link, stream)
            finally:
                self._asides.discard(stream)

    @asynccontextmanager
    async def kubectl(self, argv: tuple[str, ...]) -> AsyncIterator[RelayChannel]:
        """Runs a kubectl command line in the runner, with empty input. Leaving ends the command. Raises HopFailed."""
        async with self.aside({"argv": argv}) as stream:
            channel = RelayChannel(stream, Target(self._cluster.name), kubectl.OURS, kubectl=True)
            await channel.start()
            channel.write_eof()
            yield channel


def _unreached(address: str, ended: Mapping[str, Any]) -> HopFailed:
    """Returns the error for an address that took no connection. ENOENT stands for a name without an address."""
    scheme, _, where = address.partition(":")
    unknown, reason = ended.get("errno") == errno.ENOENT, ended.get("error")
    if unknown and scheme == "tcp":
        reason = "no address is found for this name"
    code = "address_unknown" if unknown else "address_unreachable"
    return HopFailed(code, f"{where} cannot be reached: {reason}")
