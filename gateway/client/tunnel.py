"""Carries one TCP connection to a port of a pod: a WebSocket to the pod's portforward, `v4.channel.k8s.io`
(kubelet pkg/kubelet/server/portforward/websocket.go), so that no connection ever waits for another's reader.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import LOST, GatewayFailed, first
from gateway.client.websocket import opened
from gateway.protocol.codec import CHUNK

_PROTOCOL = "v4.channel.k8s.io"
_LINGER = 5.0  # seconds without a byte from the pod after which a connection that this side has ended is over
_STARTED = 15.0  # seconds for the first message of each channel, which is the port
_DATA, _ERROR = b"\x00", b"\x01"


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
        return f"/clusters/{'/'.join(quote(word, safe='') for word in words)}?ports={self.port}"


class Tunnel:
    """Holds a WebSocket on which the pod's port is dialled. One task reads, another writes."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self._heard = 0.0  # the event loop's clock

    async def started(self) -> None:
        """Waits until both channels are open. Raises GatewayFailed."""
        try:
            async with asyncio.timeout(_STARTED):
                for _ in (_DATA, _ERROR):
                    await self._receive()
        except (TimeoutError, EOFError):
            raise GatewayFailed(LOST, "the pod's port was not opened", passing=True) from None

    async def read(self) -> bytes:
        """Returns the next bytes of the pod; none at their end. Raises GatewayFailed with the pod's own error."""
        with contextlib.suppress(EOFError):
            while True:
                channel, data = await self._receive()
                if channel == _ERROR and data:
                    raise GatewayFailed(LOST, _said(data.decode("utf-8", "replace")), passing=True)
                if channel == _DATA and data:
                    return data
        return b""

    async def write(self, data: bytes) -> None:
        """Sends bytes to the pod; waits while the gateway takes none. Does nothing after the end."""
        with contextlib.suppress(ConnectionClosed):  # the reader sees it too
            for start in range(0, len(data), CHUNK):
                await self._websocket.send(_DATA + data[start : start + CHUNK])

    async def close(self, linger: float = _LINGER) -> None:
        """Closes the tunnel when the pod has sent nothing for `linger` seconds."""
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        while (left := self._heard + linger - loop.time()) > 0:  # noqa: ASYNC110  # each byte of the pod puts it off
            await asyncio.sleep(left)
        await self._websocket.close()

    async def _receive(self) -> tuple[bytes, bytes]:
        try:
            message = await self._websocket.recv(decode=False)
        except ConnectionClosed:
            raise EOFError from None
        self._heard = asyncio.get_running_loop().time()
        return message[:1], message[1:]


@asynccontextmanager
async def tunnel(endpoint: Endpoint, where: PodPort) -> AsyncIterator[Tunnel]:
    """Opens a tunnel to a port of a pod; leaving closes the tunnel. Raises GatewayFailed."""
    async with opened(endpoint, where.path, _PROTOCOL) as websocket:
        made = Tunnel(websocket)
        await made.started()
        yield made


async def carry(made: Tunnel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes bytes both ways until the pod or the local side has ended. The protocol knows no half-close: the pod does
    not hear that the local side has ended until the tunnel is closed, some seconds after the pod's last byte. Raises
    GatewayFailed with the pod's own error, and OSError of the local side.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_send(made, reader))
            while data := await made.read():
                writer.write(data)
                await writer.drain()
            sending.cancel()
    except BaseExceptionGroup as group:
        raise first(group) from None


async def _send(made: Tunnel, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(CHUNK):
        await made.write(data)
    await made.close()


def _said(words: str) -> str:
    """Returns what the kubelet says, without its runtime's own names for the pod where nothing listens on the port."""
    if "connection refused" in words:
        return "nothing listens on this port of the pod (connection refused)"
    return " ".join(words.split())
