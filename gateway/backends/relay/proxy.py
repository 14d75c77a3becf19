"""`kubectl proxy` in the runner, on a Unix socket in the relay's private directory, as long as somebody needs it.

Never on a TCP port: whatever runs in the runner could then do all that the runner's account may. Exec and attach it
refuses, as it does by default, and everything that would change or delete something; what asks whether one may is a POST.
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
START = 10.0  # seconds until it listens
IDLE = 300.0  # seconds without a use, after which it ends: so a kubeconfig that was changed is read again
_AGAIN = 1.0  # seconds between attempts to start it
_LISTENS = b"Starting to serve on"
_WORDS = 4000  # bytes kept of what it says


class Proxy:
    """Works while `run` does. `open_` starts a stream that is no session's, and ends it on leaving."""

    def __init__(
        self,
        link: Callable[[], Awaitable[Link]],
        open_: Open,
        context: str,
        outages: OutageLog,
        idle: float = IDLE,
    ) -> None:
        self._link = link
        self._open = open_
        self._context = ("--context", context) if context else ()
        self._outages = outages
        self._idle = idle
        self._address: str | None = None  # while it listens
        self._since = self._failed = float("-inf")
        self._users = 0
        self._failure: HopFailed | None = None
        self._life: asyncio.Timeout | None = None  # whoever uses it puts its end off
        self._wanted = asyncio.Event()
        self._settled = asyncio.Event()

    @property
    def age(self) -> float:
        """Seconds since it began to listen."""
        return time.monotonic() - self._since

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[RelayBytes]:
        """A connection to it; starts it where it does not run. Raises HopFailed."""
        self._users += 1
        try:
            for _ in range(2):  # one that has ended, and is not heard of yet, refuses
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
        """Ends the one that runs, and with it its connections; the next use starts another."""
        self._address = None
        self._ends_in(0.0)

    async def run(self) -> None:
        """Starts it whenever it is wanted; never returns."""
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
        async with self._open({"argv": ["kubectl", *self._context, "proxy", *options]}) as stream:
            await self._started(stream)
            self._address, self._since, self._failure = f"unix:{path}", time.monotonic(), None
            self._outages.connected()
            self._wanted.clear()
            self._settled.set()
            try:
                await self._live(stream)
            finally:
                self._address = self._life = None

    async def _started(self, stream: LinkStream) -> None:
        said = b""
        try:
            async with asyncio.timeout(START):
                while _LISTENS not in said:
                    batch = await stream.read()
                    if not batch:
                        raise _why(stream, said)
                    said = (said + b"".join(body for _, body in batch))[-_WORDS:]
        except TimeoutError:
            raise HopFailed("kubectl_failed", f"kubectl proxy did not start within {START:g} s") from None

    async def _live(self, stream: LinkStream) -> None:
        """Until it ends, is to be started again, or was of no use for a while."""
        while True:
            try:
                async with asyncio.timeout(self._idle) as self._life:
                    while await stream.read():
                        pass  # klog's words about single requests, which have got their answers
                    return
            except TimeoutError:
                if not (self._users and self._address):
                    return

    def _put_off(self) -> None:
        if self._address:
            self._ends_in(self._idle)

    def _ends_in(self, seconds: float) -> None:
        with suppress(RuntimeError):  # it ends already
            if self._life:
                self._life.reschedule(asyncio.get_running_loop().time() + seconds)


def _why(stream: LinkStream, said: bytes) -> HopFailed:
    """Why it does not listen."""
    found = stream.exit or {}
    if stream.failure:
        return stream.failure
    if found.get("errno") == errno.ENOENT:
        return HopFailed("kubectl_missing", "the runner has no kubectl on its login shell's PATH")
    if "code" not in found and "signal" not in found:
        return HopFailed("relay_failed", f"kubectl proxy could not be started: {found.get('error')}")
    ended = kubectl.explain(int(found.get("code") or 1), said, Target(""), Command(stdout=True))
    return HopFailed(ended.code, ended.message, ended.status)
