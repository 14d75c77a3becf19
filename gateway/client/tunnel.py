"""Carries TCP connections to a port of a pod: streams of SPDY to the pod's portforward, as kubectl opens them
(k8s.io/apimachinery, pkg/util/httpstream; client-go, tools/portforward). A session carries one connection at a time, so
that no connection ever waits for another's reader.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote

from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import LOST, GatewayFailed
from gateway.client.upgrade import Upgraded, upgraded
from gateway.errors import first
from gateway.protocol import spdy
from gateway.protocol.codec import CHUNK
from gateway.protocol.spdy import Control, Frame

_PROTOCOL = "SPDY/3.1"
_VERSION = ("X-Stream-Protocol-Version", "portforward.k8s.io")
_STARTED = 15.0  # seconds for the streams of a connection to be taken
_ENDED = 2.0  # seconds for the pod to say how a connection ended; after that no other takes its place
# Bytes that are passed on at once: larger pieces have pages of their own, which the kernel clears each time
_PART = 64 * 1024


@dataclass(frozen=True)
class PodPort:
    """Names a port of one pod. `uid`: tells the pod from a later one of the same name."""

    cluster: str
    namespace: str
    pod: str
    uid: str
    port: int

    @property
    def path(self) -> str:
        """Returns the path of the pod's portforward at the gateway."""
        words = (self.cluster, "api", "v1", "namespaces", self.namespace, "pods", self.pod, "portforward")
        return f"/clusters/{'/'.join(quote(word, safe='') for word in words)}"


class Tunnel:
    """Holds a session, and in it one connection after the other. One task reads, another writes."""

    def __init__(self, where: PodPort, connection: Upgraded) -> None:
        self.where = where
        self._reader, self._writer = connection.reader, connection.writer
        self._decoder, self._encoder = spdy.Decoder(), spdy.Encoder()
        self._frames = deque[Frame]()
        self._receive(connection.early)
        self._last = -1  # the last stream
        self._requests = 0
        self._open: set[tuple[int, bool]] = (
            set()
        )  # stream and direction (True: from the pod) that have not ended

    @property
    def spare(self) -> bool:
        """Returns True if another connection may be opened: the one before has ended well, on all its ways."""
        return not self._open and not self._reader.at_eof()

    async def connect(self) -> None:
        """Has the pod's port dialled. That the port takes no connection is known later, by `read`. Raises GatewayFailed."""
        error, data = self._last + 2, self._last + 4
        self._last, self._requests = data, self._requests + 1
        about = {"port": str(self.where.port), "requestid": str(self._requests)}
        self._open = {(error, True), (data, True), (data, False)}
        self._writer.write(
            self._encoder.syn_stream(error, {"streamtype": "error"} | about)
            + spdy.data(error, b"", fin=True)
            + self._encoder.syn_stream(data, {"streamtype": "data"} | about)
        )
        taken: set[int] = set()
        early: list[Frame] = []
        try:
            async with asyncio.timeout(_STARTED):
                while taken != {error, data}:
                    frame = await self._next()
                    if frame.kind == Control.SYN_REPLY:
                        taken.add(frame.stream)
                    elif frame.kind == Control.RST_STREAM and frame.stream in {error, data} - taken:
                        raise GatewayFailed(LOST, "the pod's port was not opened", passing=True)
                    else:
                        early.append(frame)
        except TimeoutError:
            raise GatewayFailed(LOST, "the pod's port was not opened in time", passing=True) from None
        # Where the port speaks first, its bytes, and its end, may come before the reply to their stream
        self._frames.extendleft(reversed(early))
        self._open |= {(error, True), (data, True)}

    async def read(self) -> bytes:
        """Returns the next bytes of the pod, all that have come; none at their end. Raises GatewayFailed, with the pod's own
        error if it sent one.
        """
        parts: list[bytes] = []
        while (self._last, True) in self._open and not (parts and self._waits()):
            frame = await self._next()
            if self._carries(frame):
                parts.append(frame.body)
        return b"".join(parts)

    def _waits(self) -> bool:
        """Returns True if the next frame has not come, or is no data of the pod's."""
        return not (self._frames and self._carries(self._frames[0]))

    def _carries(self, frame: Frame) -> bool:
        return frame.kind is None and frame.stream == self._last and frame.body != b""

    async def end(self) -> None:
        """Ends the connection from here, and waits until the pod has ended it, too. Raises GatewayFailed for the pod's own
        error.
        """
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(_ENDED):
                if (self._last, False) in self._open:
                    await self.write_eof()
                while any(from_pod for _, from_pod in self._open):
                    await self._next()

    async def write(self, data: bytes) -> None:
        """Sends bytes to the pod; waits while the gateway takes none. Raises OSError."""
        parts = (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))
        self._writer.write(b"".join(spdy.data(self._last, part) for part in parts))
        await self._writer.drain()

    async def write_eof(self) -> None:
        """Ends the input of the pod's port."""
        self._open.discard((self._last, False))
        self._writer.write(spdy.data(self._last, b"", fin=True))
        await self._writer.drain()

    async def _next(self) -> Frame:
        """Returns the next frame but a ping, which is answered; takes note of ends. Raises GatewayFailed."""
        frame = await self._any()
        while frame.kind == Control.PING:
            self._writer.write(spdy.ping(frame.body))
            frame = await self._any()
        if frame.kind == Control.RST_STREAM or (frame.kind is None and frame.fin):
            self._open.discard((frame.stream, True))
        if frame.kind is None and frame.stream == self._last - 2 and frame.body:
            raise GatewayFailed(LOST, _said(frame.body.decode("utf-8", "replace")), passing=True)
        return frame

    async def _any(self) -> Frame:
        while not self._frames:
            try:
                received = await self._reader.read(_PART)
            except OSError:
                received = b""
            if not received:
                raise GatewayFailed(LOST, "the connection to the pod's port was lost", passing=True)
            self._receive(received)
        return self._frames.popleft()

    def _receive(self, received: bytes) -> None:
        try:
            self._frames.extend(self._decoder.receive(received))
        except ValueError as error:
            raise GatewayFailed(LOST, f"what came from the pod's port cannot be read: {error}") from None


@asynccontextmanager
async def tunnel(endpoint: Endpoint, where: PodPort) -> AsyncIterator[Tunnel]:
    """Opens a tunnel to a port of a pod; leaving closes the tunnel. Raises GatewayFailed."""
    async with upgraded(endpoint, where.path, _PROTOCOL, [_VERSION]) as connection:
        yield Tunnel(where, connection)


async def carry(made: Tunnel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes bytes both ways until the pod's have ended, and the end of the local side's by itself. Raises GatewayFailed,
    with the pod's own error if it sent one, and OSError of the local side.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_send(made, reader))
            while data := await made.read():
                writer.write(data)
                await writer.drain()
            writer.write_eof()
            sending.cancel()
        await made.end()
    except BaseExceptionGroup as group:
        raise first(group) from None


async def _send(made: Tunnel, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(_PART):
        await made.write(data)
    await made.write_eof()


def _said(words: str) -> str:
    """Returns what the kubelet says, without its runtime's own names for the pod where nothing listens on the port."""
    if "connection refused" in words:
        return "nothing listens on this port of the pod (connection refused)"
    return " ".join(words.split())
