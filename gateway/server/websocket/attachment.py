"""An attachment: one client connection to a session. Reads the journal at the client's own pace."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import ClientError, WSCloseCode, WSMsgType

from gateway.protocol.codec import CHUNK, ClientDecoder, encode
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import (
    Control,
    Ended,
    HalfClose,
    Ignored,
    Output,
    Resize,
    ServerMessage,
    Stdin,
    Stream,
)
from gateway.protocol.outcome import Outcome
from gateway.protocol.subprotocols import Subprotocol
from gateway.server.metrics import Metrics
from gateway.server.websocket.acknowledgements import Acknowledgements, hello
from gateway.server.websocket.keepalive import Keepalive
from gateway.server.websocket.socket import Gone, Socket
from gateway.sessions.session import Session
from gateway.settings.config import Limits

log = structlog.get_logger()

INTERRUPT = b"\x03"

# kubectl 1.30 to 1.33 drops what comes in one segment with the 101 (client-go remotecommand, fixed in 0.34)
_FIRST_DATA = 0.015  # seconds after the upgrade
_LAST_WORDS = 1.0  # seconds for a client that broke the rules, or met a defect, to hear of it


class Attachment:
    """Works in one task of the edge: `await run()`."""

    def __init__(
        self, socket: Socket, row: Subprotocol, session: Session, limits: Limits, metrics: Metrics
    ) -> None:
        self._socket = socket
        self._row = row
        self._session = session
        self._limits = limits
        self._metrics = metrics
        self._opened = time.monotonic()
        self._sent = session.output.start  # the offset up to which it has output
        self._told = False  # the Status is out
        self._warned: tuple[str, float] | None = None
        self._close: tuple[int, str] = (WSCloseCode.OK, "")
        self._pulse = Keepalive(socket, limits, self._send)
        self._changed = asyncio.Event()
        self._receipts = Acknowledgements(session, limits)

    async def run(self) -> Outcome | None:
        """Until the session has ended and the client was told (None), or the client is gone: why.

        Cancelling closes nothing; the caller owns the socket.
        """
        gone: Outcome | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                work = self._receive(), self._pulse.watch(), self._pulse.answer()
                jobs = [tasks.create_task(job) for job in work]
                await self._send_all()
                for job in jobs:
                    job.cancel()
                # aiohttp's close waits for the client's only while nobody else reads
                await asyncio.wait(jobs)
                await self._socket.close()  # an RST on what the client still sends would cost it the tail
        except* Gone as group:
            gone = group.exceptions[0].outcome  # type: ignore[union-attr]  # one level: they are raised by our tasks
        except* (ConnectionError, ClientError):
            gone = gone or Outcome("client_lost")
        return gone

    async def until_gone(self) -> Outcome | None:
        """`run`, where a defect of ours is logged and an outcome like any other."""
        try:
            return await self.run()
        except Exception:
            log.exception("attachment_defect", session=self._session.name)
            return Outcome("gateway_error")

    async def leave(self, why: Outcome) -> None:
        """After a `run` that did not end well: the last words, as far as the client still listens, within a second."""
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
                if end := self._elsewhere():
                    break
                if not told and session.times.started is not None:
                    told = True
                    await self._send(Control({"type": "started"}))
                await self._tell_news()
                if await self._send_some():
                    continue
                if (end := session.outcome) and self._sent >= session.output.end:
                    break
                await self._changed.wait()
        await self._settle_in()
        await self._say_end(end)

    def _elsewhere(self) -> Outcome | None:
        """What a client is told with which the session does not go on, though it does. Raises Gone."""
        return None

    async def _send_some(self) -> bool:
        """One message of output, if there is some."""
        output = self._session.output
        if (missing := output.start - self._sent) > 0:
            await self._leave_out(missing)
            return True
        record = output.read(self._sent, CHUNK)
        if not record:
            return False
        if not self._sent:
            await self._settle_in()
        self._sent += len(record[1])
        await self._send(Output(*record))
        output.drop(self._sent)
        return True

    async def _leave_out(self, count: int) -> None:
        self._sent += count
        await self._send(Control({"type": "gap", "bytes": count}))

    async def _tell_news(self) -> None:
        """Our own client is told how much of its input is taken, and once that the end comes, or no longer does."""
        if not self._row.control:
            return
        if receipt := self._receipts.due(self._changed.set):
            await self._send(receipt)
        lifetime = self._session.lifetime
        if lifetime.warning != self._warned:
            self._warned = warned = lifetime.warning
            coming = {"code": warned.code, "seconds": lifetime.left()} if warned else {"code": None}
            await self._send(Control({"type": "warning", **coming}))

    async def _say_end(self, outcome: Outcome) -> None:
        self._told = True
        if self._row.control:
            await self._send(Control(outcome.as_control("end")))
        await self._send(Ended(outcome.as_status()))

    def _hello(self) -> ServerMessage:
        command = self._session.command
        if self._row.control:
            return hello(self._session, self._receipts.window, self._resume())
        other = Stream.STDERR if command.stderr else Stream.ERROR
        return Output(Stream.STDOUT if command.stdout else other, b"")

    def _resume(self) -> dict[str, Any] | None:
        """What a client has to know for coming back; None where it cannot."""
        return None

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
                if message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                    for said in decoder.decode(message.data):
                        await self._take(said)
            except ProtocolError as error:
                self._close = (error.close_code, str(error))
                raise Gone(Outcome("client_broke_protocol", str(error))) from None
            if message.type is WSMsgType.PING:
                self._pulse.ping(message.data)
            elif message.type is WSMsgType.CLOSE:
                raise Gone(self._closed_with(message.data))
            elif message.type in (WSMsgType.CLOSED, WSMsgType.ERROR):
                raise Gone(Outcome("client_lost"))

    def _closed_with(self, code: int | None) -> Outcome:
        del code  # as in a cluster
        return Outcome("client_closed")

    async def _take(self, said: Stdin | Resize | HalfClose | Control | Ignored) -> None:
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
            case HalfClose() | Control():
                pass  # as in a cluster: no effect
            case Ignored(why):
                self._metrics.ignored(why)

    async def _write(self, data: bytes) -> None:
        await self._session.write(data)
        self._typed(data)

    def _typed(self, data: bytes) -> None:
        """An interrupt at a terminal of ours quiets a flood that waits."""
        if INTERRUPT in data and self._row.control and self._session.command.tty:
            self._session.output.skip_flood(self._sent)
