"""Carries one session over a WebSocket: the only place that knows the `websockets` library."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from gateway import __version__, unix_peer
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import (
    LOST,
    REFUSED,
    UNREACHABLE,
    End,
    GatewayFailed,
    from_control,
    from_status,
)
from gateway.client.http import TOO_LONG, refusal
from gateway.client.proof import Unproved, prove_in_thread
from gateway.client.proxy import ProxyUnusable
from gateway.client.reach import ProxyRefused, proxy_of, reach
from gateway.client.request import LONGEST, without_command
from gateway.errors import why
from gateway.protocol import codec
from gateway.protocol.argv import messages
from gateway.protocol.codec import CHUNK
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import ClientMessage, Control, Ended, HalfClose, Output, Resize, Stdin, Stream
from gateway.protocol.subprotocols import OWN
from gateway.protocol.target import TerminalSize
from gateway.timeouts import wait_within

_OPEN = 15.0  # seconds for the handshake; what the far side takes comes after it
_CLOSE = 2.0  # seconds for the closing handshake
_HURRY = 0.3  # seconds for it after Ctrl-C and the like
_PING = 15.0  # seconds between pings: proxies and the gateway see that we live
_SILENCE = 45  # seconds until a peer that acknowledges nothing is lost
_QUIET = logging.getLogger("gateway.cli.websockets")  # what it has to say, its exceptions say
_QUIET.disabled = True


class _Listening(ClientConnection):
    """Records when the peer's last byte came: a pong may stand behind much output, but any byte is a sign of life."""

    heard = 0.0  # the event loop's clock

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        super().data_received(data)


class Connection:
    """Sends and receives the messages of one session. Only one task may receive; others may send meanwhile."""

    def __init__(self, websocket: _Listening) -> None:
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
    try:
        websocket, argv = await _open(endpoint, path)
    except InvalidStatus as error:
        raise refusal(error.response.status_code, bytes(error.response.body or b"")) from None
    except Unproved as error:  # the gateway may come back to its port
        raise GatewayFailed(UNREACHABLE, str(error), passing=True) from None
    except OSError as error:  # before ValueError: a certificate that is not trusted is both
        message = f"cannot reach the gateway at {endpoint}: {why(error)}"
        raise GatewayFailed(UNREACHABLE, message, passing=True) from None
    except ProxyUnusable as error:
        raise GatewayFailed(REFUSED, f"cannot reach the gateway at {endpoint}: {error}") from None
    except (ProxyRefused, InvalidHandshake, WebSocketException) as error:
        message = f"no gateway answers at {endpoint}: {why(error)}"
        raise GatewayFailed(REFUSED, message, passing=True) from None
    async with websocket:
        _notice_loss(websocket)
        if websocket.subprotocol != OWN.name:
            message = f"the server at {endpoint} does not speak {OWN.name}: name a dap gateway"
            raise GatewayFailed(REFUSED, message)
        assert isinstance(websocket, _Listening)
        connection = Connection(websocket)
        try:
            for part in messages(argv) if argv else ():
                await connection.control(**part.body)
            yield connection
        except BaseException:
            await _hurry(websocket)
            raise


async def _hurry(websocket: ClientConnection) -> None:
    """Closes with 1000, which ends the session (the context itself would say 1011), and drops what still comes. Where
    the gateway takes no more input the close cannot get there behind it, and the end of the connection has to say it.
    """
    websocket.close_timeout = _HURRY
    try:
        await wait_within(websocket.close(), 2 * _HURRY)
    finally:
        websocket.transport.abort()


async def _open(endpoint: Endpoint, path: str) -> tuple[ClientConnection, list[str]]:
    """Returns the WebSocket, and the arguments that are to follow: those that are too long for a URL, of our own measure
    or of a proxy's.
    """
    short, argv = without_command(path)
    if not argv or len(path) <= LONGEST:
        try:
            return await _connect(endpoint, path), []
        except InvalidStatus as error:
            if not argv or error.response.status_code not in TOO_LONG:
                raise
    return await _connect(endpoint, short), argv


async def _connect(endpoint: Endpoint, path: str) -> ClientConnection:
    url = endpoint.url.replace("http", "ws", 1) + path
    if endpoint.socket:
        local = await asyncio.to_thread(unix_peer.connect, endpoint.socket, _OPEN)
        return await connect(url, proxy=None, sock=local, **_settings(endpoint))
    proxy, begun = proxy_of(endpoint), time.monotonic()
    sock = await reach(endpoint, proxy, _OPEN)
    who = f"the gateway behind the proxy {proxy}" if proxy else sock.getpeername()[0]
    if endpoint.proves:
        await prove_in_thread(sock, endpoint.token, _OPEN)
    left = _OPEN - (time.monotonic() - begun)
    try:
        return await connect(url, proxy=None, sock=sock, **_settings(endpoint) | {"open_timeout": left})
    except TimeoutError:
        raise OSError(f"{who} took the connection and gave no answer within {_OPEN:g} s") from None
    except OSError:
        raise
    except ValueError:  # a redirect, which would need another socket
        raise InvalidHandshake(f"{who} answers with a redirect: the URL is not the gateway's own") from None


def _settings(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "create_connection": _Listening,
        "subprotocols": [Subprotocol(OWN.name)],
        "additional_headers": endpoint.headers,
        "user_agent_header": f"dap/{__version__}",
        "compression": None,
        "max_size": None,
        "open_timeout": _OPEN,
        "close_timeout": _CLOSE,
        "ping_interval": _PING,
        "ping_timeout": None,  # a pong may wait behind output or input that is held up, and prove nothing
        "logger": _QUIET,
    }


def _notice_loss(websocket: ClientConnection) -> None:
    """Makes the kernel find out when the network is gone (RFC 1122, 4.2.3.6; RFC 5482), busy or idle."""
    sock = websocket.transport.get_extra_info("socket")
    if sock.family == socket.AF_UNIX:
        return
    idle = "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"  # so macOS calls it
    options = {idle: _SILENCE // 3, "TCP_KEEPINTVL": _SILENCE // 9, "TCP_KEEPCNT": 6}
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (options | {"TCP_USER_TIMEOUT": _SILENCE * 1000}).items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _lost(error: ConnectionClosed) -> GatewayFailed:
    close = error.rcvd
    message = "the connection to the gateway was lost"
    if close is not None:
        message = f"the gateway closed the connection ({close.code} {close.reason})".replace(" )", ")")
    return GatewayFailed(LOST, message, passing=True)
