"""An attachment that may be followed by another: with credit, acknowledgement, and news of the hops behind."""

import asyncio
import time
from collections import deque
from typing import Any

from aiohttp import WSCloseCode

from gateway.protocol.codec import CHUNK
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import Control, HalfClose, Ignored, Output, Resize, Stdin
from gateway.protocol.outcome import Outcome
from gateway.protocol.subprotocols import OWN
from gateway.relay.journal import FLOOD
from gateway.server.metrics import Metrics
from gateway.server.websocket.attachment import INTERRUPT, Attachment
from gateway.server.websocket.socket import Gone, Socket
from gateway.sessions.resumable import ResumableSession, Trouble
from gateway.settings.config import Limits

_QUIET = 1.0  # seconds after an interrupt in which that goes on


class ResumableAttachment(Attachment):
    """See `Attachment`. `enter` it before it runs."""

    _session: ResumableSession

    def enter(self, offset: int, used: str | None) -> None:
        """The session is this client's, which goes on at `offset`, and was admitted with the secret `used`."""
        session, self._window = self._session, self._limits.window
        self._sent = self._acknowledged = offset  # its attach says where
        self._gaps: deque[tuple[int, int]] = deque()  # (offset, bytes) of those that it has not seen
        self._trouble: Trouble | None = None
        self._interrupted = self._quiet_until = 0.0
        self._secret = session.attach(self, used)

    async def run(self) -> Outcome | None:
        """See `Attachment.run`. Its client has heard the end when it has answered the close."""
        gone = await super().run()
        unheard = gone is None and self._socket.close_code == WSCloseCode.ABNORMAL_CLOSURE
        return Outcome("client_lost") if unheard else gone

    @property
    def _mine(self) -> bool:
        return self._session.holder is self

    def _resume(self) -> dict[str, Any] | None:
        return {
            "secret": self._secret,
            "grace": round(self._session.grace),
            "offset": self._sent,
            "received": self._receipts.told,
            "window": self._window,
        }

    def _elsewhere(self) -> Outcome | None:
        if self._session.left:
            self._close = (WSCloseCode.SERVICE_RESTART, "the gateway is started again")
            raise Gone(Outcome("shutdown"))
        return None if self._mine else Outcome("taken_over")

    @property
    def _room(self) -> int:
        """Bytes of output that it takes now: as many as the window has left, and what is left out costs none of it."""
        left_out = sum(size for _, size in self._gaps)
        return self._window - (self._sent - self._acknowledged - left_out)

    async def _send_some(self) -> bool:
        """One message of output, if there is some and the client takes it."""
        output, now = self._session.output, time.monotonic()
        if now < self._quiet_until and output.end - self._sent > FLOOD:
            self._session.interrupt(self._sent)
        if self._sent < output.start:
            if now - self._interrupted < _QUIET:  # the flood was at the far side
                self._quiet_until = self._interrupted + _QUIET
                self._session.interrupt(self._sent)
            missing = output.start - self._sent
            self._gaps.append((self._sent, missing))
            await self._leave_out(missing)
            return True
        room = min(CHUNK, self._room)
        record = output.read(self._sent, room) if room > 0 and self._sent < output.end else None
        if not record:
            return False
        self._sent += len(record[1])
        await self._send(Output(*record))
        return True

    async def _tell_news(self) -> None:
        await super()._tell_news()
        session = self._session
        if session.trouble != self._trouble:
            self._trouble = session.trouble
            await self._send(Control(_hop(self._trouble)))

    async def _take(self, said: Stdin | Resize | HalfClose | Control | Ignored) -> None:
        if not self._mine:
            return  # it was said too late
        match said:
            case Stdin():
                self._session.confirm_secret()
            case Control({"type": "ping"}):
                self._session.confirm_secret()
            case Control({"type": "seen", "offset": offset}):
                self._session.confirm_secret()
                self._see(offset)
            case _:
                pass
        await super()._take(said)

    def _see(self, offset: object) -> None:
        if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset <= self._sent:
            raise ProtocolError("seen is an offset of output that was sent")
        if offset > self._acknowledged:
            self._acknowledged = offset
            while self._gaps and self._gaps[0][0] < offset:
                self._gaps.popleft()
            self._session.acknowledge_output(offset)
            self._changed.set()

    def _typed(self, data: bytes) -> None:
        if INTERRUPT not in data:
            self._interrupted = self._quiet_until = 0.0  # what comes now may be wanted
            return
        self._interrupted = time.monotonic()
        if self._session.interrupt(self._sent):
            self._quiet_until = self._interrupted + _QUIET
            self._changed.set()

    def _closed_with(self, code: int | None) -> Outcome:
        return Outcome("client_closed" if code == WSCloseCode.OK else "client_lost")


def _hop(trouble: Trouble | None) -> dict[str, Any]:
    if trouble is None:
        return {"type": "hop", "code": None}
    left = max(0, round(trouble.until - asyncio.get_running_loop().time()))
    return {**trouble.why.as_control("hop"), "seconds": left}


async def follow(
    websocket: Socket,
    session: ResumableSession,
    limits: Limits,
    metrics: Metrics,
    offset: int,
    used: str | None = None,
) -> None:
    """Until the client is gone, another one has the session, or its end was told."""
    attachment = ResumableAttachment(websocket, OWN, session, limits, metrics)
    attachment.enter(offset, used)
    gone: Outcome | None = Outcome("client_lost")
    try:
        gone = await attachment.until_gone()
    finally:
        session.detach(attachment, gone)
    if gone is not None:
        await attachment.leave(gone)
