"""An attachment: one client connection to a session. Reads the journal at the client's own pace."""

import asyncio
import time
from contextlib import suppress

import structlog
from aiohttp import ClientError, WSCloseCode, WSMsgType

from gateway.event import Event
from gateway.protocol.codec import ClientDecoder, encode
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import (
    ClientMessage,
    Control,
    Ended,
    HalfClose,
    Ignored,
    Output,
    Resize,
    ServerMessage,
    Stdin,
    Stream,
)  # fmt: skip
from gateway.protocol.outcome import Outcome
from gateway.protocol.subprotocols import OWN, Subprotocol
from gateway.server.metrics import Metrics
from gateway.server.websocket.acknowledgements import Acknowledgements, hello
from gateway.server.websocket.delivery import Delivery, WithinCredit
from gateway.server.websocket.keepalive import Keepalive
from gateway.server.websocket.socket import Gone, Socket
from gateway.sessions.resumption import Resumption
from gateway.sessions.session import Session
from gateway.settings.config import Limits

log = structlog.get_logger()

# kubectl 1.30 to 1.33 drops what comes in one segment with the 101 (client-go remotecommand, fixed in 0.34)
_FIRST_DATA = 0.015  # seconds after the upgrade
_LAST_WORDS = 1.0  # seconds for a client that broke the rules, or met a defect, to hear of it


class Attachment:
    """Works in one task of the edge: `await until_gone()`."""

    def __init__(
        self,
        socket: Socket,
        row: Subprotocol,
        session: Session,
        delivery: Delivery,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self._socket = socket
        self._row = row
        self._session = session
        self._delivery = delivery
        self._metrics = metrics
        self._opened = time.monotonic()
        self._told = False  # the Status is out
        self._warned: tuple[str, float] | None = None
        self._close: tuple[int, str] = (WSCloseCode.OK, "")
        self._pulse = Keepalive(socket, limits, self._send)
        self._changed = Event()
        self._receipts = Acknowledgements(session, limits)

    async def run(self) -> Outcome | None:
        """Serves the client until the session has ended and the client was told, and returns None; or until the
        client is gone, and returns why. Cancelling closes nothing: the caller owns the socket.
        """
        gone: Outcome | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._receive())
                self._pulse.start(tasks)
                await self._send_all()
                self._pulse.stop()
                reading.cancel()
                # aiohttp's close waits for the client's only while nobody else reads
                await asyncio.wait([reading])
                await self._socket.close()  # an RST on what the client still sends would cost it the tail
        except* Gone as group:
            left: Gone = group.exceptions[0]  # type: ignore[assignment]  # one level: they are raised by our tasks
            gone, self._close = left.outcome, left.close
        except* (ConnectionError, ClientError):
            gone = gone or Outcome("client_lost")
        return gone

    async def until_gone(self) -> Outcome | None:
        """Runs `run`; logs a defect of ours and returns it as an outcome like any other."""
        try:
            return await self.run()
        except Exception:
            log.exception("attachment_defect", session=self._session.name)
            return Outcome("gateway_error")

    async def leave(self, why: Outcome) -> None:
        """Sends the last words after a `run` that did not end well, as far as the client listens, within a second;
        closes.
        """
        with suppress(Exception):
            async with asyncio.timeout(_LAST_WORDS):
                if why.code == "gateway_error" and not self._told:
                    await self._say_end(why)
        code, reason = self._close
        await self._socket.hang_up(code, reason, _LAST_WORDS)

    async def _send_all(self) -> None:
        session, row = self._session, self._row
        await self._send(self._hello())
        told = not row.control
        with session.watching() as self._changed:
            while True:
                self._changed.clear()
                if end := self._delivery.elsewhere():
                    break
                if not told and session.times.started is not None:
                    told = True
                    await self._send(Control({"type": "started", "way": session.way or None}))
                await self._tell_news()
                if await self._send_some():
                    continue
                if (end := session.outcome) and self._delivery.sent >= session.output.end:
                    break
                await self._changed.wait()
        await self._settle_in()
        await self._say_end(end)

    async def _send_some(self) -> bool:
        """Sends one message of output. Returns False if there is none that the client takes."""
        first = not self._delivery.sent
        message = self._delivery.next()
        if message is None:
            return False
        if first:
            await self._settle_in()
        await self._send(message)
        return True

    async def _tell_news(self) -> None:
        """Tells a client of our own how much of its input was taken, and when the end comes near or no longer does."""
        if not self._row.control:
            return
        if receipt := self._receipts.due(self._changed.set):
            await self._send(receipt)
        lifetime = self._session.lifetime
        if lifetime.warning != self._warned:
            self._warned = warned = lifetime.warning
            coming = {"code": warned.code, "seconds": lifetime.left()} if warned else {"code": None}
            await self._send(Control({"type": "warning", **coming}))
        if news := self._delivery.news():
            await self._send(news)

    async def _say_end(self, outcome: Outcome) -> None:
        self._told = True
        if self._row.control:
            await self._send(Control(outcome.as_control("end")))
        await self._send(Ended(outcome.as_status()))

    def _hello(self) -> ServerMessage:
        command = self._session.command
        if self._row.control:
            return hello(self._session, self._receipts.window, self._delivery.resume())
        other = Stream.STDERR if command.stderr else Stream.ERROR
        return Output(Stream.STDOUT if command.stdout else other, b"")

    async def _settle_in(self) -> None:
        if not self._row.control:
            await asyncio.sleep(max(0.0, self._opened + _FIRST_DATA - time.monotonic()))

    async def _send(self, message: ServerMessage) -> None:
        payload = encode(message, self._row)
        if isinstance(payload, bytes):
            await self._socket.send_bytes(payload)
        elif payload is not None:
            await self._socket.send_str(payload)

    async def _receive(self) -> None:
        decoder = ClientDecoder(self._row)
        while True:
            try:
                message = await self._socket.receive()
                control = message.data if message.type in (WSMsgType.PING, WSMsgType.PONG) else None
                self._socket.connection.message_taken(control)
                if message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                    for said in decoder.decode(message.data):
                        await self._take(said)
            except ProtocolError as error:
                broke = Outcome("client_broke_protocol", str(error))
                raise Gone(broke, (error.close_code, str(error))) from None
            if message.type is WSMsgType.PING:
                self._pulse.ping(message.data)
            elif message.type is WSMsgType.CLOSE:
                raise Gone(self._delivery.closed_with(message.data))
            elif message.type in (WSMsgType.CLOSED, WSMsgType.ERROR):
                raise Gone(Outcome("client_lost"))

    async def _take(self, said: ClientMessage) -> None:
        if not self._delivery.hear(said):
            return
        match said:
            case Stdin(data) if self._session.command.stdin:
                self._pulse.blocked = True
                await self._write(data)
                self._pulse.blocked = False
            case Stdin():
                self._metrics.ignored("stdin")
            case Resize(size):
                self._session.resize(size)
            case HalfClose(Stream.STDIN):
                self._session.write_eof()
            case Control({"type": "ping"}):
                self._pulse.ask()
            case Control({"type": "stay"}):
                self._session.lifetime.touch()
            case HalfClose() | Control():
                self._changed.set()  # of what it may say of delivery; else, as in a cluster, no effect
            case Ignored(why):
                self._metrics.ignored(why)

    async def _write(self, data: bytes) -> None:
        await self._session.write(data)
        if self._delivery.typed(data):
            self._changed.set()


async def follow(
    websocket: Socket,
    session: Session,
    resumption: Resumption,
    limits: Limits,
    metrics: Metrics,
    offset: int,
    used: str | None = None,
) -> None:
    """Attaches a client to a resumable session at `offset` until the client is gone, another client has the session, or
    the client has heard the end. `used`: the secret that the client was admitted with.
    """
    delivery = WithinCredit(session, resumption, limits.window, offset, used)
    attachment = Attachment(websocket, OWN, session, delivery, limits, metrics)
    gone: Outcome | None = Outcome("client_lost")
    try:
        gone = await attachment.until_gone()
        if gone is None and websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE:
            gone = Outcome("client_lost")  # it has heard the end when it has answered the close
    finally:
        resumption.detach(delivery, gone)
    if gone is not None:
        await attachment.leave(gone)
