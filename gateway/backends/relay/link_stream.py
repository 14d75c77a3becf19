"""Carries one stream of a link: queues what has come until it is read, and grants the relay credit for it."""

import time
from collections.abc import Callable
from typing import Any

from gateway.backends.relay.flow_window import ActivityTracker, FlowWindow, InputWindow
from gateway.errors import HopFailed
from gateway.event import Event
from gateway.relay import wire

AHEAD = 256 * 1024  # bytes of unread output up to which credit is granted as output comes


class LinkStream:
    """Sends and receives the frames of one request. The link calls `frame`, `credit` and `fail`; all else is for the
    tasks of one session. `started` and `exit` are what STARTED and EXIT said, `failure` is why the link was lost;
    else None.
    """

    def __init__(
        self,
        number: int,
        send: Callable[[bytes], None],
        window: int,
        company: ActivityTracker,
        input_window: InputWindow | None = None,
    ) -> None:
        """Starts with `window` bytes that the relay may send. `company`: the activity of all streams of the link;
        `input_window`: of what is sent to the relay, one of INPUT unless given.
        """
        self.number = number
        self.failure: HopFailed | None = None
        self.started: dict[str, Any] | None = None
        self.exit: dict[str, Any] | None = None
        self.received: Callable[[int], None] = lambda _: None  # called with RECEIVED's offset
        self._send = send
        self._window = wire.Window(window)
        self._pace = FlowWindow(window)
        self._company = company
        self._unread = self._uncredited = 0
        self._withheld = False
        self._input = input_window or InputWindow()
        self._came: list[tuple[int, bytes]] = []
        self._news = Event()
        self._watcher: Callable[[], None] | None = None
        self._room = Event()
        self._eof = self._unwanted = False

    @classmethod
    def nowhere(cls) -> "LinkStream":
        """Returns a stream that belongs to no link: what is sent on it is dropped."""
        return cls(0, lambda _: None, wire.WINDOW, ActivityTracker())

    async def start(self) -> None:
        """Waits until STARTED or EXIT has come. Raises HopFailed when the link is lost first."""
        while self.started is None and self.exit is None:
            if self.failure:
                raise self.failure
            self._news.clear()
            await self._news.wait()

    @property
    def ended(self) -> bool:
        """Returns True once EXIT has come or the link is lost. Output that came before may still be unread."""
        return self.exit is not None or self.failure is not None

    async def read(self) -> list[tuple[int, bytes]]:
        """Waits for output and returns all that has come, as (kind, body) of STDOUT, STDERR, EOF and GAP; an empty
        list once the stream has ended and all was read. Cancelling is safe.
        """
        while not self._came and not self.ended:
            self._news.clear()
            await self._news.wait()
        return self.take()

    def watch(self, arrived: Callable[[], None] | None) -> None:
        """See `ByteStream.watch`. The relay tells in another STARTED that what the stream leads to was replaced."""
        self._watcher = arrived
        if arrived and (self._came or self.ended or (self.started or {}).get("replaced")):
            arrived()

    def take(self) -> list[tuple[int, bytes]]:
        """Returns at once what `read` would return, or an empty list; grants the credit that was withheld for it."""
        batch, self._came = self._came, []
        self._unread = 0
        if self._withheld:  # the relay may have none left, and nothing more comes then
            self.credit()
        return batch

    async def write(self, data: bytes) -> None:
        """Sends bytes to the far side in frames. Waits while the stream has too little credit, and also with credit left
        while other streams of the link are active and would be delayed. After the stream's end: no error, no effect.
        """
        view = memoryview(data)
        while view and (room := await self.room(len(view))):
            self.put(bytes(view[:room]))
            view = view[room:]

    async def room(self, wanted: int) -> int:
        """Waits until the stream may send `wanted` bytes of input, or a full frame of them: a short frame costs every
        process on the way as much. Returns how many bytes may be sent now; 0 after the end.
        """
        size = min(wanted, wire.FULL)
        while not self.ended:
            if self._room_now() >= size:
                return size
            self._room.clear()
            await self._room.wait()
        return 0

    def put(self, data: bytes) -> None:
        """Sends input in frames, at once, and deducts it from the credit, which must be enough."""
        self._input.take(len(data))
        for at in range(0, len(data), wire.FULL):
            self.say(wire.STDIN, data[at : at + wire.FULL])

    def _room_now(self) -> int:
        """Counts the stream as active, and returns how many bytes it may send now."""
        now = time.monotonic()
        self._company.heard(self.number, now)
        return self._input.room(alone=self._company.alone(now))

    def write_eof(self) -> None:
        """Sends the end of input; only the first call has an effect."""
        if not self._eof:
            self._eof = True
            self.say(wire.EOF)

    def say(self, kind: int, body: bytes = b"") -> None:
        """Sends a frame that needs no credit; after the stream's end: no effect."""
        if not self.ended:
            self._send(wire.encode(kind, self.number, body))

    def tell(self, kind: int, body: bytes) -> None:
        """Sends a frame that needs no credit, after EXIT too: the relay keeps a resumable command beyond its EXIT.
        Once the link is lost: no effect.
        """
        if self.failure is None:
            self._send(wire.encode(kind, self.number, body))

    def resize(self, columns: int, rows: int) -> None:
        """Sends the terminal's new size; after the stream's end: no effect."""
        if not self.ended:
            self._send(wire.encode_size(self.number, columns, rows))

    def cancel(self) -> None:
        """Sends END, so that the relay ends the command; drops output, unread or still to come. Does not wait."""
        self.say(wire.END)
        self._unwanted = True
        self._came.clear()

    async def wait_ended(self) -> None:
        """Waits until EXIT has come or the link is lost."""
        while not self.ended:
            self._news.clear()
            await self._news.wait()

    def frame(self, kind: int, body: bytes, rtt: float = 0.0) -> None:
        """Takes a frame from the relay: queues output, adds credit, records STARTED and EXIT, calls `received`.
        `rtt`: the link's round trip in seconds. Raises WireError where the frame breaks a rule of the link.
        """
        if kind in (wire.STDOUT, wire.STDERR):
            self._window.arrived(len(body))
            if body and not self._unwanted:
                self._came.append((kind, body))
                self._unread += len(body)
                self._uncredited += len(body)
        elif kind == wire.CREDIT:
            count = wire.decode_credit(body)
            if self.started is None:  # the first credit of an attach
                self._input.grant(count)
            else:
                self._input.used(count, rtt, time.monotonic())
            self._room.set()
            return
        elif kind == wire.STARTED:
            self.started = wire.decode_started(body)
        elif kind == wire.EXIT:
            self.exit = wire.decode_exit(body)
            self._room.set()
        elif kind in (wire.EOF, wire.GAP):
            # the last frame replaces earlier ones, since no credit bounds how many come
            if self._came and self._came[-1][0] == kind:
                self._came.pop()
            self._came.append((kind, body))
        elif kind == wire.RECEIVED:
            self.received(wire.decode_offset(body))
            return
        else:
            raise wire.WireError(f"kind {kind} does not come from a relay")
        self._tell_news()

    def credit(self, rtt: float = 0.0) -> None:
        """Grants credit for output that has come, once it is worth a frame and at most AHEAD bytes are unread: a slow
        session must slow only its own stream. `rtt`: the link's round trip in seconds, which adapts the window; 0
        leaves the window.
        """
        self._withheld = self._unread > AHEAD
        if self._withheld or self.ended or self._unwanted:
            return
        if rtt:
            now = time.monotonic()
            self._company.heard(self.number, now)
            alone = self._company.alone(now)
            size = self._pace.window(self._uncredited, rtt, now, alone=alone)
            self._window.resize(size, self._pace.step(size, rtt))
        grant = self._window.used(self._uncredited)
        self._uncredited = 0
        if grant > 0:
            self._send(wire.encode_credit(self.number, grant))

    def fail(self, error: HopFailed) -> None:
        """Records that the link is lost, and wakes all who wait on the stream."""
        self.failure = error
        self._tell_news()
        self._room.set()

    def _tell_news(self) -> None:
        self._news.set()
        if self._watcher:
            self._watcher()
