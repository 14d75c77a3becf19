"""One stream of a link: what came waits here, and is credited when it is taken."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from gateway.backends.relay.flow_window import ActivityTracker, FlowWindow
from gateway.errors import HopFailed
from gateway.relay import wire

AHEAD = 256 * 1024  # bytes unread by the session up to which more is granted at once


class LinkStream:
    """All of it belongs to one session's tasks; `frame` and `fail` are the link's."""

    def __init__(
        self,
        number: int,
        send: Callable[[bytes], None],
        window: int,
        company: ActivityTracker,
        credit: int = wire.INPUT,
    ) -> None:
        """`window` and `credit`: bytes that may come, and may be sent, at first."""
        self.number = number
        self.failure: HopFailed | None = None
        self.started: dict[str, Any] | None = None
        self.exit: dict[str, Any] | None = None
        self.received: Callable[[int], None] = lambda _: None  # told how much input has come there
        self._send = send
        self._window = wire.Window(window)
        self._pace = FlowWindow(window)
        self._company = company
        self._unread = self._uncredited = 0
        self._may_send = wire.Allowance(credit)
        self._came: deque[tuple[int, bytes]] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._eof = self._unwanted = False

    @classmethod
    def nowhere(cls) -> "LinkStream":
        """On no link."""
        return cls(0, lambda _: None, wire.WINDOW, ActivityTracker())

    async def start(self) -> None:
        """Until it has been started or has ended. Raises HopFailed with the link's end."""
        while self.started is None and self.exit is None:
            if self.failure:
                raise self.failure
            self._news.clear()
            await self._news.wait()

    @property
    def ended(self) -> bool:
        """Nothing more will come, though not all may have been read."""
        return self.exit is not None or self.failure is not None

    async def read(self) -> list[tuple[int, bytes]]:
        """(kind, body) of all that came, at least one; empty at the end. Cancelling is safe."""
        while not self._came and not self.ended:
            self._news.clear()
            await self._news.wait()
        return self.take()

    def take(self) -> list[tuple[int, bytes]]:
        """What has come, if anything."""
        batch = list(self._came)
        self._came.clear()
        self._unread = 0
        if self._uncredited > AHEAD:
            self.credit()
        return batch

    async def write(self, data: bytes) -> None:
        """Sends bytes to the far side in frames. Waits while the stream has no credit, and also with credit left while
        other streams of the link are busy and this one would hold them up. After the end: no error, no effect.
        """
        view = memoryview(data)
        while view and (room := await self.room()):
            self.put(bytes(view[:room]))
            view = view[room:]

    async def room(self) -> int:
        """Waits until the stream may send; returns how many bytes fit into one frame, 0 after the end."""
        while not self.ended:
            room = self._room_now()
            if room > 0:
                return min(room, wire.FULL)
            self._room.clear()
            await self._room.wait()
        return 0

    def put(self, data: bytes) -> None:
        """Input for which there is credit."""
        self._may_send.take(len(data))
        for at in range(0, len(data), wire.FULL):
            self.say(wire.STDIN, data[at : at + wire.FULL])

    def _room_now(self) -> int:
        """Credit; while others talk no more of it than does not keep their keys waiting."""
        now = time.monotonic()
        self._company.heard(self.number, now)
        held_back = 0 if self._company.alone(now) else wire.INPUT - wire.WINDOW
        return self._may_send.left - held_back

    def write_eof(self) -> None:
        """End of input."""
        if not self._eof:
            self._eof = True
            self.say(wire.EOF)

    def say(self, kind: int, body: bytes = b"") -> None:
        """A frame without credit, while there is somebody to hear it."""
        if not self.ended:
            self._send(wire.encode(kind, self.number, body))

    def tell(self, kind: int, body: bytes) -> None:
        """The same behind the end, too: of what the relay keeps until it is told that it need not."""
        if self.failure is None:
            self._send(wire.encode(kind, self.number, body))

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's size."""
        if not self.ended:
            self._send(wire.encode_size(self.number, columns, rows))

    def cancel(self) -> None:
        """Ends it there; what it still says is of no interest."""
        self.say(wire.END)
        self._unwanted = True
        self._came.clear()

    async def wait_ended(self) -> None:
        """Until EXIT, or the link's end."""
        while not self.ended:
            self._news.clear()
            await self._news.wait()

    def frame(self, kind: int, body: bytes) -> None:
        """From the relay. Raises WireError."""
        if kind in (wire.STDOUT, wire.STDERR):
            self._window.arrived(len(body))
            if body and not self._unwanted:
                self._came.append((kind, body))
                self._unread += len(body)
                self._uncredited += len(body)
        elif kind == wire.CREDIT:
            self._may_send.grant(wire.decode_credit(body))
            self._room.set()
            return
        elif kind == wire.STARTED:
            self.started = wire.decode_started(body)
        elif kind == wire.EXIT:
            self.exit = wire.decode_exit(body)
            self._room.set()
        elif kind in (wire.EOF, wire.GAP):
            if (
                self._came and self._came[-1][0] == kind
            ):  # the last one says all; no credit bounds how many come
                self._came.pop()
            self._came.append((kind, body))
        elif kind == wire.RECEIVED:
            self.received(wire.decode_offset(body))
            return
        else:
            raise wire.WireError(f"kind {kind} does not come from a relay")
        self._news.set()

    def credit(self, rtt: float = 0.0) -> None:
        """Grants for what has come, unless much of it is still unread: the session's own pace is not the link's.

        `rtt`: of the link, in seconds; 0 where it is not the link that asks.
        """
        if self._unread > AHEAD or self.ended or self._unwanted:
            return
        if rtt:
            now = time.monotonic()
            self._company.heard(self.number, now)
            alone = self._company.alone(now)
            self._window.resize(self._pace.window(self._uncredited, rtt, now, alone=alone))
        grant = self._window.used(self._uncredited)
        self._uncredited = 0
        if grant > 0:
            self._send(wire.encode_credit(self.number, grant))

    def fail(self, error: HopFailed) -> None:
        """The link is lost."""
        self.failure = error
        self._news.set()
        self._room.set()
