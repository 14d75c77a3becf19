"""Carries one session over a WebSocket to the gateway."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode

from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import (
    LOST,
    End,
    GatewayFailed,
    from_control,
    from_status,
)
from gateway.client.http import TOO_LONG
from gateway.client.request import LONGEST, without_command
from gateway.client.websocket import Listening, connected, explained, speaking
from gateway.protocol import codec
from gateway.protocol.argv import messages
from gateway.protocol.codec import CHUNK
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import ClientMessage, Control, Ended, HalfClose, Output, Resize, Stdin, Stream
from gateway.protocol.subprotocols import OWN
from gateway.protocol.target import TerminalSize

_CLOSE = 2.0  # seconds for the closing handshake


class Connection:
    """Sends and receives the messages of one session. Only one task may receive; others may send meanwhile."""

    def __init__(self, websocket: Listening) -> None:
        self._websocket = websocket
        self._end: End | None = None

    @property
    def heard(self) -> float:
        """Returns when the last byte came, on the event loop's clock."""
        return self._websocket.heard

    async def receive(self) -> Output | Control | End:
        """Returns the next output or control message, or the end. Safe to cancel. Raises GatewayFailed when the
        connection is lost or the gateway breaks the protocol.
        """
        while True:
            try:
                message = codec.decode_server(await self._websocket.recv(decode=False), OWN)
            except ConnectionClosed as error:
                if self._end:
                    return self._end
                raise _lost(error) from None
            except ProtocolError as error:
                raise GatewayFailed(LOST, f"the gateway broke the protocol: {error}") from None
            match message:
                case Output():
                    return message
                case Control(body) if body["type"] in ("end", "refused"):
                    self._end = from_control(dict(body))
                case Control():
                    return message
                case Ended(status):
                    return self._end or from_status(status)

    async def send(self, data: bytes) -> None:
        """Sends input. Waits while the gateway takes none; drops the input once the connection is closed."""
        for start in range(0, len(data), CHUNK):
            await self._send(Stdin(data[start : start + CHUNK]))

    async def resize(self, size: TerminalSize) -> None:
        """Sends the terminal's new size."""
        await self._send(Resize(size))

    async def half_close(self) -> None:
        """Sends that no more input will come."""
        await self._send(HalfClose(Stream.STDIN))

    async def control(self, type: str, **fields: object) -> None:  # noqa: A002  # the field's name
        """Sends a control message of our own subprotocol."""
        await self._send(Control({"type": type, **fields}))

    async def ping(self) -> None:
        """Sends a ping; any answer moves `heard`. Does nothing on a closed connection."""
        with contextlib.suppress(ConnectionClosed):
            await self._websocket.ping()

    def abandon(self) -> None:
        """Drops the connection without a close: a session that can be resumed lives on."""
        self._websocket.transport.abort()

    async def closed(self) -> int:
        """Waits for the gateway's close after the end, 2 s at most. Returns its close code, 1005 where none came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE):
                await self._websocket.wait_closed()
        return self._websocket.close_code or CloseCode.NO_STATUS_RCVD

    async def _send(self, message: ClientMessage) -> None:
        payload = codec.encode(message, OWN)
        if payload is not None:
            with contextlib.suppress(ConnectionClosed):  # the receiver sees it too, and says why
                await self._websocket.send(payload)


@asynccontextmanager
async def attach(endpoint: Endpoint, path: str) -> AsyncIterator[Connection]:
    """Opens the connection; leaving the context closes it. Raises GatewayFailed."""
    with explained(endpoint):
        websocket, argv = await _open(endpoint, path)
    async with speaking(endpoint, websocket, OWN.name):
        assert isinstance(websocket, Listening)
        connection = Connection(websocket)
        for part in messages(argv) if argv else ():
            await connection.control(**part.body)
        yield connection


async def _open(endpoint: Endpoint, path: str) -> tuple[ClientConnection, list[str]]:
    """Returns the WebSocket, and the arguments that are to follow: those that are too long for a URL, of our own measure
    or of a proxy's.
    """
    short, argv = without_command(path)
    if not argv or len(path) <= LONGEST:
        try:
            return await connected(endpoint, path, OWN.name), []
        except InvalidStatus as error:
            if not argv or error.response.status_code not in TOO_LONG:
                raise
    return await connected(endpoint, short, OWN.name), argv


def _lost(error: ConnectionClosed) -> GatewayFailed:
    close = error.rcvd
    message = "the connection to the gateway was lost"
    if close is not None:
        message = f"the gateway closed the connection ({close.code} {close.reason})".replace(" )", ")")
    return GatewayFailed(LOST, message, passing=True)
