"""One run of `kubectl proxy` in the runner: its command line, its start, and how long it is needed."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gateway.backends.relay import proxy_command
from gateway.backends.relay.link_stream import LinkStream
from gateway.errors import HopFailed

START = 10.0  # seconds for the proxy to listen
_LISTENS = b"Starting to serve on"
_WORDS = 4000  # bytes kept of the proxy's output


class ProxyGeneration:
    """Holds one proxy that listens on the Unix socket `path`. `begin`: see `Cluster.kubectl_argv`; `idle`: seconds
    without a use after which the proxy is needed no longer. `request`: starts the proxy at a relay.
    """

    def __init__(self, path: str, begin: tuple[str, ...], idle: float) -> None:
        self.request: dict[str, Any] = proxy_command.request(begin, f"--unix-socket={path}")
        self.address = f"unix:{path}"
        self._idle = idle
        self._since = float("inf")
        self._users = 0
        self._retired = False
        self._life: asyncio.Timeout | None = None  # ends the proxy; every use puts that off

    @property
    def age(self) -> float:
        """Returns the seconds since the proxy began to listen."""
        return time.monotonic() - self._since

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keeps the proxy running while the body runs."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._put_off()

    def retire(self) -> None:
        """Ends the proxy with its last use."""
        self._retired = True
        self._put_off()

    async def start(self, stream: LinkStream) -> None:
        """Waits until the proxy, which runs on `stream`, listens. Raises HopFailed where the proxy does not."""
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
        self._since = time.monotonic()

    async def until_unused(self, stream: LinkStream) -> None:
        """Waits until the proxy has ended, or nobody uses it: at once where it is retired, else for `idle` seconds."""
        while not (self._retired and not self._users):
            try:
                async with asyncio.timeout(self._idle) as self._life:
                    while await stream.read():
                        pass  # kubectl's log lines about requests; each request has its answer
                    return
            except TimeoutError:
                if not self._users:
                    return
            finally:
                self._life = None

    def _put_off(self) -> None:
        """Counts the idle time from now on; ends it where a retired proxy has lost its last use."""
        seconds = 0.0 if self._retired and not self._users else self._idle
        with suppress(RuntimeError):  # the timeout has expired already
            if self._life:
                self._life.reschedule(asyncio.get_running_loop().time() + seconds)


def _why(stream: LinkStream, output: bytes) -> HopFailed:
    """Returns the error that says why the proxy does not listen."""
    return stream.failure or proxy_command.explain(stream.exit or {}, output)
