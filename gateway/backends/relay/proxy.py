"""Runs `kubectl proxy` in the runner on a Unix socket in the relay's private directory, while somebody needs it.

A TCP port would let every process in the runner do what the runner's account may. The proxy refuses exec and attach,
as by default, and PUT, PATCH and DELETE. It passes POST, since a review of what the account may do is a POST.
"""

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from gateway.backends.kube import kubectl
from gateway.backends.outage_log import OutageLog
from gateway.backends.relay.byte_stream import RelayBytes
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_stream import LinkStream
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target
from gateway.supervision import defect

Open = Callable[[Mapping[str, Any]], AbstractAsyncContextManager[LinkStream]]

NAME = "kubectl.sock"
START = 10.0  # seconds for the proxy to listen
IDLE = 300.0  # seconds without a use, after which the proxy ends: the next one reads a changed kubeconfig
_AGAIN = 1.0  # seconds between attempts to start the proxy
_LISTENS = b"Starting to serve on"
_WORDS = 4000  # bytes kept of the proxy's output


class Proxy:
    """Runs one proxy on demand, while `run` runs. `open_` starts a stream for a request, and ends the stream on
    leaving; `begin`: see `Cluster.kubectl_argv`; `idle`: seconds without a use after which the proxy ends. `cluster`
    tells to which cluster the context leads; `moved` is called where a new proxy leads to another one.
    """

    def __init__(
        self,
        link: Callable[[], Awaitable[Link]],
        open_: Open,
        begin: tuple[str, ...],
        outages: OutageLog,
        cluster: Callable[[], Awaitable[str]],
        moved: Callable[[str, str], None],
        idle: float = IDLE,
    ) -> None:
        self._link = link
        self._open = open_
        self._begin = begin
        self._outages = outages
        self._cluster = cluster
        self._moved = moved
        self._where = ""  # the answer of `cluster`, for the last proxy
        self._idle = idle
        self._address: str | None = None  # while the proxy listens
        self._since = self._failed = float("-inf")
        self._users = 0
        self._failure: HopFailed | None = None
        self._life: asyncio.Timeout | None = None  # ends the proxy; every use puts that off
        self._wanted = asyncio.Event()
        self._settled = asyncio.Event()

    @property
    def age(self) -> float:
        """Returns the seconds since the proxy last began to listen."""
        return time.monotonic() - self._since

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[RelayBytes]:
        """Opens a connection to the proxy, and starts the proxy where it is down. Raises HopFailed where the link is
        lost, the proxy does not start, or two proxies in turn refuse.
        """
        self._users += 1
        try:
            for _ in range(2):  # a proxy that has ended, which is not known yet, refuses
                async with self._open({"dial": await self._ready()}) as stream:
                    if not stream.exit:
                        yield RelayBytes(stream)
                        return
                    why = stream.exit.get("error")
                    self.restart()
            raise HopFailed("cluster_unreachable", f"kubectl proxy: {why}")
        finally:
            self._users -= 1
            self._put_off()

    def restart(self) -> None:
        """Ends the running proxy, and so its connections, without waiting; the next use starts another proxy."""
        self._address = None
        self._ends_in(0.0)

    async def run(self) -> None:
        """Starts the proxy whenever a connection needs it; never returns. Logs an error of the proxy, and passes it
        to the connections that wait for the start.
        """
        while True:
            await self._wanted.wait()
            try:
                await self._serve()
            except HopFailed as error:
                self._outages.refused(error)
                self._fail(error)
            except Exception:
                self._fail(defect())
                raise

    def _fail(self, error: HopFailed) -> None:
        self._failure, self._failed = error, time.monotonic()
        self._wanted.clear()
        self._settled.set()

    async def _ready(self) -> str:
        while not self._address:
            if self._failure and time.monotonic() - self._failed < _AGAIN:
                raise self._failure
            self._settled.clear()
            self._wanted.set()
            await self._settled.wait()
        self._put_off()
        return self._address

    async def _serve(self) -> None:
        path = f"{(await self._link()).about.get('directory')}/{NAME}"
        options = (f"--unix-socket={path}", "--reject-methods=^(PUT|PATCH|DELETE)$")
        request = {"argv": [*self._begin, "proxy", *options], "kubeconfig": len(self._begin)}
        async with self._open(request) as stream:
            await self._started(stream)
            await self._find()
            self._address, self._since, self._failure = f"unix:{path}", time.monotonic(), None
            self._outages.connected()
            self._wanted.clear()
            self._settled.set()
            try:
                await self._live(stream)
            finally:
                self._address = self._life = None

    async def _find(self) -> None:
        """Asks where the proxy leads, before anything is read there."""
        before, now = self._where, await self._cluster()
        self._where = now or before
        if before and now not in ("", before):
            self._moved(before, now)

    async def _started(self, stream: LinkStream) -> None:
        output = b""
        try:
            async with asyncio.timeout(START):
                while _LISTENS not in output:
                    batch = await stream.read()
                    if not batch:
                        raise _why(stream, output)
                    output = (output + b"".join(body for _, body in batch))[-_WORDS:]
        except TimeoutError:
            raise HopFailed("kubectl_failed", f"kubectl proxy did not start within {START:g} s") from None

    async def _live(self, stream: LinkStream) -> None:
        """Waits until the proxy ends, is restarted, or has been idle for long enough."""
        while True:
            try:
                async with asyncio.timeout(self._idle) as self._life:
                    while await stream.read():
                        pass  # kubectl's log lines about requests; each request has its answer
                    return
            except TimeoutError:
                if not (self._users and self._address):
                    return

    def _put_off(self) -> None:
        if self._address:
            self._ends_in(self._idle)

    def _ends_in(self, seconds: float) -> None:
        with suppress(RuntimeError):  # the timeout has expired already
            if self._life:
                self._life.reschedule(asyncio.get_running_loop().time() + seconds)


def _why(stream: LinkStream, output: bytes) -> HopFailed:
    """Returns the error that says why the proxy does not listen."""
    exit_ = stream.exit or {}
    if stream.failure:
        return stream.failure
    if exit_.get("errno") == errno.ENOENT:
        return HopFailed("kubectl_missing", kubectl.MISSING)
    if "code" not in exit_ and "signal" not in exit_:
        return HopFailed("relay_failed", f"kubectl proxy could not be started: {exit_.get('error')}")
    ended = kubectl.explain(int(exit_.get("code") or 1), output, Target(""), Command(stdout=True))
    return HopFailed(ended.code, ended.message, ended.status)
