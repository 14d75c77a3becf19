"""The WebSocket under an attachment: what aiohttp leaves to us, or does in a way that a session cannot wait for."""

import asyncio
import re
import socket
import struct
from contextlib import suppress
from typing import cast

from aiohttp import ClientConnectionResetError, ClientError, WSCloseCode, WSMessage, WSMsgType, hdrs, web
from aiohttp._websocket.helpers import MSG_SIZE  # tests/test_insides.py
from aiohttp.http import HttpVersion11
from aiohttp.http_websocket import WebSocketReader, WebSocketWriter

from gateway.protocol.codec import MAX_MESSAGE, MAX_OWN
from gateway.protocol.errors import ProtocolError
from gateway.protocol.outcome import Outcome
from gateway.protocol.subprotocols import Subprotocol
from gateway.server.connection import Connection, connection_of
from gateway.server.peer_closed import peer_closed
from gateway.server.refusals import Refusal
from gateway.server.websocket.frame_rules import FrameRules, Parser

_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_VERSION = "13"
# a refusal says which version is spoken (RFC 6455, 4.4)
_SPOKEN: dict[str, str] = {hdrs.SEC_WEBSOCKET_VERSION: _VERSION}
_HEAD, _LONG_HEAD = struct.Struct("!BBH"), struct.Struct("!BBQ")  # of frames from 126 bytes, from 64 KiB on
_FIN = 0x80
_WAITING = 64 * 1024  # bytes that may wait for the client before whoever sends waits
_TCP_INFO = struct.Struct("2x2B20xI28xI")  # linux/tcp.h: retransmits, probes, unacked, last_ack_recv


class Socket(web.WebSocketResponse):
    """Raises a ProtocolError out of `receive` at once for what breaks WebSocket's rules: aiohttp would first wait for
    an answer to its close frame, which it does not read any more, while the session runs on.
    """

    transport: asyncio.Transport
    connection: Connection

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        """As aiohttp's, whose `receive` calls it too."""
        if code != WSCloseCode.OK:
            raise ProtocolError("the client broke the rules of WebSocket", code)
        return await super().close(code=code, message=message, drain=drain)

    def _post_start(self, request: web.BaseRequest, protocol: str | None, writer: WebSocketWriter) -> None:
        whole = _Writer(writer.protocol, writer.transport, limit=_WAITING)
        super()._post_start(cast("web.BaseRequest", _Checked(request)), protocol, whole)

    async def next_message(self) -> WSMessage:
        """Returns the next message, for as long as no attachment reads: answers pings, and drops pongs, until it comes.

        A client that does not take the answers gets no more of them: nothing waits for it here but for its message.
        """
        while (message := await self.receive()).type in (WSMsgType.PING, WSMsgType.PONG):
            self.connection.message_taken(message.data)
            if message.type is WSMsgType.PING and not self.unsent:
                with suppress(ConnectionError, ClientError):  # the next message says that the client has left
                    await self.pong(message.data)
        return message

    async def hang_up(self, code: int, message: str, seconds: float) -> None:
        """Closes with `code`, waits at most so long for the answer, and drops the connection."""
        with suppress(TimeoutError, ConnectionError, ClientError):
            async with asyncio.timeout(seconds):
                await super().close(code=code, message=message.encode()[:120])
        self.transport.abort()

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    @property
    def _sock(self) -> socket.socket | None:
        """Returns the socket; None once it is closed, as asyncio does after a reset before anybody hears of the end."""
        sock: socket.socket | None = self.get_extra_info("socket")
        return None if sock is None or sock.fileno() < 0 else sock

    @property
    def hung_up(self) -> bool:
        """True if the peer has closed its side. For a time in which nobody reads, and so nobody would notice."""
        return peer_closed(self.get_extra_info("socket"))

    @property
    def unacknowledged(self) -> float:
        """Seconds since the peer's kernel acknowledged anything, 0 where it owes nothing.

        Pongs prove less: a client that does not read for a while (a pager, a library between two calls) sends none,
        and is well. TCP_USER_TIMEOUT would end it too. One unanswered probe of a closed window is usual, two are not.

        0 on systems without TCP_INFO: the peer is on this machine, where the gateway listens, and the kernel there
        ends a connection together with its process.
        """
        sock = self._sock
        if sock is None or sock.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
            return 0.0
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        retransmits, probes, unacked, last = _TCP_INFO.unpack(raw)
        return last / 1000 if (unacked and retransmits) or probes > 1 else 0.0


def handshake(request: web.Request, row: Subprotocol, close_timeout: float) -> Socket:
    """Returns the WebSocket that the request will become; sends nothing yet. Raises Refusal for what is no handshake."""
    check_handshake(request)
    websocket = Socket(
        protocols=(row.name,) if row.name else (),
        timeout=close_timeout,
        autoping=False,
        compress=False,
        max_msg_size=(MAX_OWN if row.control else MAX_MESSAGE) + 2,
        writer_limit=_WAITING,
    )
    if not websocket.can_prepare(_offering(request, row)).ok:
        raise Refusal(400, "Bad Request")
    return websocket


def check_handshake(request: web.Request) -> None:
    """Raises Refusal for what RFC 6455, 4.2.1 does not take: aiohttp takes HTTP/1.0, older versions and repeated headers."""
    headers = request.headers
    if request.version < HttpVersion11:
        raise Refusal(400, "a WebSocket needs HTTP/1.1")
    if headers.getall(hdrs.SEC_WEBSOCKET_VERSION, []) != [_VERSION]:
        raise Refusal(426, f"Sec-WebSocket-Version is not {_VERSION}", headers=_SPOKEN)
    keys = headers.getall(hdrs.SEC_WEBSOCKET_KEY, [])
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise Refusal(400, "Sec-WebSocket-Key is not the base64 of 16 bytes")


async def upgrade(websocket: Socket, request: web.Request, row: Subprotocol) -> None:
    """Sends the 101. Raises ConnectionError where the client has left."""
    await websocket.prepare(_offering(request, row))
    if request.transport is None:
        raise ConnectionResetError("the client left during the handshake")
    websocket.transport = request.transport
    websocket.connection = connection_of(request)


def _offering(request: web.Request, row: Subprotocol) -> web.Request:
    """Returns the request as if it offered the chosen name alone: aiohttp looks at one header line and logs what it
    does not find there, a token among them.
    """
    headers = request.headers.copy()
    headers.popall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
    if row.name:
        headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = row.name
    return request.clone(headers=headers)


class _Writer(WebSocketWriter):
    """aiohttp's, but for a large frame's head, which aiohttp sends by itself: a packet that wakes the client for four bytes."""

    def _write_websocket_frame(self, message: bytes, opcode: int, rsv: int) -> None:
        size = len(message)
        if size <= MSG_SIZE:
            super()._write_websocket_frame(message, opcode, rsv)
            return
        if self.transport.is_closing():
            raise ClientConnectionResetError("Cannot write to closing transport")
        form, head = (126, _HEAD) if size < 1 << 16 else (127, _LONG_HEAD)
        # Not writelines: Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1 hold nobody back who writes with it (CVE-2024-12254)
        self.transport.write(b"".join((head.pack(_FIN | rsv | opcode, form, size), message)))
        self._output_size += head.size + size


class _Checked:
    """Stands for the request that a WebSocket starts on, and for its protocol: aiohttp's parser gets what FrameRules pass."""

    def __init__(self, request: web.BaseRequest) -> None:
        self.protocol = self
        self._protocol = request.protocol
        self.keep_alive = request.protocol.keep_alive

    def set_parser(self, parser: Parser, data_received_cb: None = None) -> None:
        """See aiohttp's RequestHandler."""
        rules = cast("WebSocketReader", FrameRules(parser))
        self._protocol.set_parser(rules, data_received_cb)


class Gone(Exception):  # noqa: N818  # carries the outcome out of a TaskGroup
    """Says that the client is gone, or has to go. `close`: the code and the reason that the client is closed with."""

    def __init__(self, outcome: Outcome, close: tuple[int, str] = (WSCloseCode.OK, "")) -> None:
        self.outcome = outcome
        self.close = close
