"""Streams of a relay's link: opened, started, ended; and the commands of the gateway's own that run over them."""

import asyncio
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
    """Opens streams on the link that `link` returns. `killed` counts commands that had to be killed at their end."""

    def __init__(self, cluster: Cluster, limits: Limits, link: Callable[[], Awaitable[Link]]) -> None:
        self.killed = 0
        self._cluster = cluster
        self._limits = limits
        self._link = link
        self._asides: set[LinkStream] = set()  # those that are no sessions

    def sessions(self, link: Link) -> int:
        """Returns how many sessions have a stream on a link."""
        return len({*link.streams.values()} - self._asides)

    def request(self, target: Target, command: Command) -> dict[str, Any]:
        """Returns what the relay is asked to run for a command."""
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

    async def start(self, stream: LinkStream) -> None:
        """Waits until the stream has been started or has ended, at most `Limits.start` seconds. Raises HopFailed."""
        try:
            async with asyncio.timeout(self._limits.start):
                await stream.start()
        except TimeoutError:
            said = f"no answer from {self._cluster.vm} within {self._limits.start:g} s"
            raise HopFailed("runner_timeout", said) from None

    async def end(self, link: Link, stream: LinkStream) -> None:
        """Ends what still runs on a stream and waits for its end, at most `Limits.finish` seconds; forgets the stream."""
        try:
            if not stream.ended:
                stream.cancel()
                await wait_within(stream.wait_ended(), self._limits.finish)
                self.killed += bool(stream.exit and stream.exit.get("signal") == signal.SIGKILL)
        finally:
            link.forget(stream)

    @asynccontextmanager
    async def exec(self, target: Target, command: Command) -> AsyncIterator[RelayChannel]:
        """Runs a command that is no session's: nobody looks at what it leaves. Raises HopFailed."""
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
            if stream.exit:
                raise HopFailed("relay_failed", f"{address} cannot be reached: {stream.exit.get('error')}")
            yield RelayBytes(stream)
        finally:
            await self.end(link, stream)

    @asynccontextmanager
    async def aside(self, request: Mapping[str, Any]) -> AsyncIterator[LinkStream]:
        """A stream that is no session's, and has been started or has ended. Raises HopFailed."""
        link = await self._link()
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
        """Runs kubectl in the runner with no input. Raises HopFailed."""
        async with self.aside({"argv": argv}) as stream:
            channel = RelayChannel(stream, Target(self._cluster.name), kubectl.OURS, kubectl=True)
            await channel.start()
            channel.write_eof()
            yield channel
