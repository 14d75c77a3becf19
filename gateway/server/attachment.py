"""An attachment: one client connection to a session. Reads the journal at the client's own pace."""

import asyncio
import time
from contextlib import suppress

from aiohttp import ClientError, WSMsgType, web

from gateway import __version__
from gateway.config import Limits
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
from gateway.session import Session

# kubectl 1.30 to 1.33 drops what comes in one segment with the 101 (client-go remotecommand, fixed in 0.34)
_FIRST_DATA = 0.015  # seconds after the upgrade


class Attachment:
    """Works in one task of the edge: `await run()`."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        row: Subprotocol,
        session: Session,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self._socket = socket
        self._row = row
        self._session = session
        self._limits = limits
        self._metrics = metrics
        self._heard = time.monotonic()
        self._opened = self._heard
        self._blocked = False

    async def run(self) -> Outcome | None:
        """Until the session has ended and the client was told (None), or the client is gone: why.

        Cancelling closes nothing; the caller owns the socket.
        """
        gone: Outcome | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._receive())
                pinger = tasks.create_task(self._ping())
                await self._send_all()
                pinger.cancel()
                await self._socket.close(
                    code=1000
                )  # waits for the client's close: an RST would cost it the tail
                reader.cancel()
        except* _Gone as group:
            gone = group.exceptions[0].outcome  # type: ignore[union-attr]  # one level: they are raised by our tasks
        except* (ConnectionError, ClientError):
            gone = Outcome("client_lost")
        return gone

    async def _send_all(self) -> None:
        session, row = self._session, self._row
        await self._send(self._hello())
        told, offset = not row.control, session.output.start
        with session.watching() as changed:
            while True:
                changed.clear()
                if not told and session.times.started is not None:
                    told = True
                    await self._send(Control({"type": "started"}))
                while record := session.output.read(offset, CHUNK):
                    if not offset:
                        await self._settle_in()
                    await self._send(Output(*record))
                    offset += len(record[1])
                    session.output.drop(offset)
                if session.outcome is not None and offset == session.output.end:
                    break
                await changed.wait()
        await self._settle_in()
        if row.control:
            await self._send(Control(session.outcome.as_control("end")))
        await self._send(Ended(session.outcome.as_status()))

    def _hello(self) -> ServerMessage:
        session = self._session
        if not self._row.control:
            wanted = (
                Stream.STDOUT
                if session.command.stdout
                else Stream.STDERR
                if session.command.stderr
                else Stream.ERROR
            )
            return Output(wanted, b"")
        target, command = session.target, session.command
        body = {"type": "hello", "session": session.name, "gateway": __version__, "tty": command.tty}
        names = {name: getattr(target, name) or None for name in ("cluster", "namespace", "pod", "container")}
        return Control(body | {"target": names, "command": list(command.argv) or None})

    async def _settle_in(self) -> None:
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
            message = await self._socket.receive()
            self._heard = time.monotonic()
            if message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                try:
                    for said in decoder.decode(message.data):
                        await self._take(said)
                except ProtocolError as error:
                    await self._socket.close(code=error.close_code, message=str(error).encode())
                    raise _Gone(Outcome("client_broke_protocol", str(error))) from None
            elif message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.CLOSE:
                raise _Gone(Outcome("client_closed"))
            elif message.type is WSMsgType.ERROR:
                raise _Gone(Outcome("client_broke_protocol", str(message.data)))
            elif message.type is WSMsgType.CLOSING:
                return  # our own close
            elif message.type is WSMsgType.CLOSED:
                raise _Gone(Outcome("client_lost"))

    async def _take(self, said: Stdin | Resize | HalfClose | Control | Ignored) -> None:
        match said:
            case Stdin(data) if self._session.command.stdin:
                self._blocked = True
                await self._session.write(data)
                self._blocked = False
            case Stdin():
                self._metrics.ignored("stdin")
            case Resize(size):
                self._session.resize(size)
            case HalfClose(Stream.STDIN):
                self._session.write_eof()
            case HalfClose() | Control():
                pass  # as in a cluster: no effect
            case Ignored(why):
                self._metrics.ignored(why)

    async def _ping(self) -> None:
        """Our own liveness: aiohttp's heartbeat drops a healthy client whose pongs wait behind unread data. While we
        do not read, or bytes are still on their way to the client, silence proves nothing; TCP_USER_TIMEOUT does.
        """
        while True:
            await asyncio.sleep(self._limits.ping)
            transport = self._socket.get_extra_info("transport")
            if self._blocked or (transport and transport.get_write_buffer_size()):
                self._heard = time.monotonic()
                continue
            if time.monotonic() - self._heard > self._limits.silence:
                raise _Gone(Outcome("client_lost", f"no word from the client for {self._limits.silence:g} s"))
            with suppress(ConnectionError):
                await self._socket.ping()


class _Gone(Exception):  # noqa: N818
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
