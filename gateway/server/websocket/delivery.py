"""How a session's output gets to one client: at once, or within the client's credit, so that another may follow it."""

import asyncio
import time
from collections import deque
from typing import Any, Protocol

from aiohttp import WSCloseCode

from gateway.protocol.codec import CHUNK
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import ClientMessage, Control, Output, ServerMessage, Stdin
from gateway.protocol.outcome import Outcome
from gateway.relay.journal import FLOOD
from gateway.server.websocket.socket import Gone
from gateway.sessions.resumption import Resumption, Trouble
from gateway.sessions.session import Session

_QUIET = 1.0  # seconds after such a key in which a flood at the far side is left out, too


class Delivery(Protocol):
    """Delivers a session's output to one client. `sent`: the offset up to which the client has been sent output."""

    sent: int

    def resume(self) -> dict[str, Any] | None:
        """Returns what the client has to know for coming back; None where it cannot."""
        ...

    def elsewhere(self) -> Outcome | None:
        """Returns the end that the client is told while the session goes on without it. Raises Gone."""
        ...

    def next(self) -> ServerMessage | None:
        """Returns the next message of output, or of a gap, that the client takes now."""
        ...

    def news(self) -> Control | None:
        """Returns news of the hops behind that the client has not been sent."""
        ...

    def hear(self, message: ClientMessage) -> bool:
        """Takes what the message says of delivery. Returns False where the message comes too late to count."""
        ...

    def typed(self, data: bytes) -> bool:
        """Takes notice of input: a key that flushes a terminal leaves out a flood that waits. Returns True for such a key."""
        ...

    def closed_with(self, code: int | None) -> Outcome:
        """Returns what a client means that closes with this code."""
        ...


def flushes(data: bytes) -> bool:
    """Returns True if a key is among the input for which a terminal flushes its output."""
    # Ctrl-C, Ctrl-Z, Ctrl-\; a regular expression would take as long for much input as its encryption
    return b"\x03" in data or b"\x1a" in data or b"\x1c" in data


def gap(count: int) -> Control:
    """Returns the message that says how many bytes of output are left out."""
    return Control({"type": "gap", "bytes": count})


class AtOnce:
    """Delivers output as fast as the client's connection takes it, and drops what was sent. `quiets`: a key that flushes
    a terminal leaves out a flood.
    """

    def __init__(self, session: Session, *, quiets: bool) -> None:
        self.sent = session.output.start
        self._output = session.output
        self._quiets = quiets

    def resume(self) -> dict[str, Any] | None:
        """See `Delivery.resume`."""
        return None

    def elsewhere(self) -> Outcome | None:
        """See `Delivery.elsewhere`."""
        return None

    def next(self) -> ServerMessage | None:
        """See `Delivery.next`."""
        if (missing := self._output.start - self.sent) > 0:
            self.sent += missing
            return gap(missing)
        self._output.drop(self.sent)  # the message before is out
        record = self._output.read(self.sent, CHUNK)
        if not record:
            return None
        self.sent += len(record[1])
        return Output(*record)

    def news(self) -> Control | None:
        """See `Delivery.news`."""
        return None

    def hear(self, message: ClientMessage) -> bool:
        """See `Delivery.hear`."""
        del message
        return True

    def typed(self, data: bytes) -> bool:
        """See `Delivery.typed`."""
        if not (self._quiets and flushes(data)):
            return False
        self._output.skip_flood(self.sent)
        return True

    def closed_with(self, code: int | None) -> Outcome:
        """See `Delivery.closed_with`; as in a cluster."""
        del code
        return Outcome("client_closed")


class WithinCredit:
    """Delivers at most `window` bytes beyond what the client has acknowledged, from `offset` on, to the client that holds
    a resumable session. Makes it the holder, which was admitted with the secret `used`.
    """

    def __init__(
        self, session: Session, resumption: Resumption, window: int, offset: int, used: str | None
    ) -> None:
        self.sent = self._acknowledged = offset
        self._session = session
        self._resumption = resumption
        self._window = window
        self._quiets = session.command.drops_floods
        self._received = session.bytes_in  # the offset of input, as the hello tells it
        self._gaps: deque[tuple[int, int]] = deque()  # (offset, bytes) of those that the client has not seen
        self._trouble: Trouble | None = None
        self._interrupted = self._quiet_until = 0.0
        self._secret = resumption.attach(self, used)

    def resume(self) -> dict[str, Any] | None:
        """See `Delivery.resume`."""
        return {
            "secret": self._secret,
            "grace": round(self._resumption.grace),
            "offset": self.sent,
            "received": self._received,
            "window": self._window,
            "modes": self._resumption.modes(self.sent),
        }

    def elsewhere(self) -> Outcome | None:
        """See `Delivery.elsewhere`."""
        if self._resumption.left:
            raise Gone(Outcome("shutdown"), (WSCloseCode.SERVICE_RESTART, "the gateway is started again"))
        return None if self._holds else Outcome("taken_over")

    def next(self) -> ServerMessage | None:
        """See `Delivery.next`."""
        output, now = self._session.output, time.monotonic()
        if now < self._quiet_until and output.end - self.sent > FLOOD:
            self._resumption.interrupt(self.sent)
        if self.sent < output.start:
            if now - self._interrupted < _QUIET:  # the flood was at the far side
                self._quiet_until = self._interrupted + _QUIET
                self._resumption.interrupt(self.sent)
            missing = output.start - self.sent
            self._gaps.append((self.sent, missing))
            self.sent += missing
            return gap(missing)
        room = min(CHUNK, self._room)
        record = output.read(self.sent, room) if room > 0 and self.sent < output.end else None
        if not record:
            return None
        self.sent += len(record[1])
        return Output(*record)

    def news(self) -> Control | None:
        """See `Delivery.news`."""
        if self._resumption.trouble == self._trouble:
            return None
        self._trouble = self._resumption.trouble
        return Control(_hop(self._trouble))

    def hear(self, message: ClientMessage) -> bool:
        """See `Delivery.hear`."""
        if not self._holds:
            return False
        match message:
            case Stdin() | Control({"type": "ping"}):
                self._resumption.confirm_secret()
            case Control({"type": "seen", "offset": offset}):
                self._resumption.confirm_secret()
                self._see(offset)
        return True

    def typed(self, data: bytes) -> bool:
        """See `Delivery.typed`."""
        if not self._quiets:
            return False
        if not flushes(data):
            self._interrupted = self._quiet_until = 0.0  # what comes now may be wanted
            return False
        self._interrupted = time.monotonic()
        if self._resumption.interrupt(self.sent):
            self._quiet_until = self._interrupted + _QUIET
        return True

    def closed_with(self, code: int | None) -> Outcome:
        """See `Delivery.closed_with`."""
        return Outcome("client_closed" if code == WSCloseCode.OK else "client_lost")

    @property
    def _holds(self) -> bool:
        return self._resumption.holder is self

    @property
    def _room(self) -> int:
        """Bytes of output that the client takes now: what the window has left; what is left out costs none of it."""
        left_out = sum(size for _, size in self._gaps)
        return self._window - (self.sent - self._acknowledged - left_out)

    def _see(self, offset: object) -> None:
        if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset <= self.sent:
            raise ProtocolError("seen is an offset of output that was sent")
        if offset > self._acknowledged:
            self._acknowledged = offset
            while self._gaps and self._gaps[0][0] < offset:
                self._gaps.popleft()
            self._resumption.acknowledge_output(offset)


def _hop(trouble: Trouble | None) -> dict[str, Any]:
    if trouble is None:
        return {"type": "hop", "code": None}
    left = max(0, round(trouble.until - asyncio.get_running_loop().time()))
    return {**trouble.why.as_control("hop"), "seconds": left}
