"""Opens WebSockets to the gateway: through a proxy, over TLS, to its Unix socket."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from gateway import __version__, unix_peer
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import REFUSED, UNREACHABLE, GatewayFailed
from gateway.client.http import refusal
from gateway.client.proof import Unproved, prove_in_thread
from gateway.client.proxy import ProxyUnusable
from gateway.client.reach import ProxyRefused, proxy_of, reach, trust
from gateway.errors import why
from gateway.timeouts import wait_within

OPEN = 15.0  # seconds for the handshake; what the far side takes comes after it
_CLOSE = 2.0  # seconds for the closing handshake
_HURRY = 0.3  # seconds for it after Ctrl-C and the like
_PING = 15.0  # seconds between pings: proxies and the gateway see that we live
_SILENCE = 45  # seconds until a peer that acknowledges nothing is lost
_QUIET = logging.getLogger("gateway.cli.websockets")  # what it has to say, its exceptions say
_QUIET.disabled = True


class Listening(ClientConnection):
    """Records when the peer's last byte came: a pong may stand behind much output, but any byte is a sign of life."""

    heard = 0.0  # the event loop's clock

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        super().data_received(data)


@asynccontextmanager
async def opened(endpoint: Endpoint, path: str, protocol: str) -> AsyncIterator[ClientConnection]:
    """Opens a WebSocket on which another protocol is spoken; leaving the context closes it. Raises GatewayFailed."""
    with explained(endpoint):
        websocket = await connected(endpoint, path, protocol)
    async with speaking(endpoint, websocket, protocol):
        yield websocket


@contextmanager
def explained(endpoint: Endpoint) -> Iterator[None]:
    """Raises GatewayFailed for what goes wrong while a connection to the gateway is opened."""
    try:
        yield
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


@asynccontextmanager
async def speaking(endpoint: Endpoint, websocket: ClientConnection, protocol: str) -> AsyncIterator[None]:
    """Closes the WebSocket in the end. Raises GatewayFailed where the server speaks another protocol."""
    async with websocket:
        notice_loss(websocket.transport)
        if websocket.subprotocol != protocol:
            message = f"the server at {endpoint} does not speak {protocol}: name a dap gateway"
            raise GatewayFailed(REFUSED, message)
        try:
            yield
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


async def connected(endpoint: Endpoint, path: str, protocol: str) -> ClientConnection:
    url, begun = endpoint.url.replace("http", "ws", 1) + path, time.monotonic()
    sock = await socket_to(endpoint)
    if endpoint.socket:
        return await connect(url, proxy=None, sock=sock, **_settings(endpoint, protocol))
    proxy = proxy_of(endpoint)
    who = f"the gateway behind the proxy {proxy}" if proxy else sock.getpeername()[0]
    more = {"open_timeout": OPEN - (time.monotonic() - begun), "ssl": trust(endpoint)}
    try:
        return await connect(url, proxy=None, sock=sock, **_settings(endpoint, protocol) | more)
    except TimeoutError:
        raise OSError(f"{who} took the connection and gave no answer within {OPEN:g} s") from None
    except OSError:
        raise
    except ValueError:  # a redirect, which would need another socket
        raise InvalidHandshake(f"{who} answers with a redirect: the URL is not the gateway's own") from None


async def socket_to(endpoint: Endpoint) -> socket.socket:
    """Returns a connected socket to the gateway, whose listener has proved that it knows the token where that is asked; TLS
    is the caller's. Raises OSError, Unproved, ProxyUnusable, ProxyRefused.
    """
    if endpoint.socket:
        return await asyncio.to_thread(unix_peer.connect, endpoint.socket, OPEN)
    sock = await reach(endpoint, proxy_of(endpoint), OPEN)
    if endpoint.proves:
        await prove_in_thread(sock, endpoint.token, OPEN)
    return sock


def _settings(endpoint: Endpoint, protocol: str) -> dict[str, Any]:
    return {
        "create_connection": Listening,
        "subprotocols": [Subprotocol(protocol)],
        "additional_headers": endpoint.headers,
        "user_agent_header": f"dap/{__version__}",
        "compression": None,
        "max_size": None,
        "open_timeout": OPEN,
        "close_timeout": _CLOSE,
        "ping_interval": _PING,
        "ping_timeout": None,  # a pong may wait behind output or input that is held up, and prove nothing
        "logger": _QUIET,
    }


def notice_loss(transport: asyncio.BaseTransport) -> None:
    """Makes the kernel find out when the network is gone (RFC 1122, 4.2.3.6; RFC 5482), busy or idle."""
    sock = transport.get_extra_info("socket")
    if sock.family == socket.AF_UNIX:
        return
    idle = "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"  # so macOS calls it
    options = {idle: _SILENCE // 3, "TCP_KEEPINTVL": _SILENCE // 9, "TCP_KEEPCNT": 6}
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (options | {"TCP_USER_TIMEOUT": _SILENCE * 1000}).items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
