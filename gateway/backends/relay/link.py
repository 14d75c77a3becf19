"""Runs the gateway's end of a link: numbered streams over one process, a PING every 5 s, one end for all streams."""

import asyncio
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from gateway.backends.after_sleep import explain_error
from gateway.backends.process import Process
from gateway.backends.relay.bootstrap import arrive
from gateway.backends.relay.flow_window import ActivityTracker, InputWindow
from gateway.backends.relay.link_stream import LinkStream
from gateway.backends.relay.send_queue import SendQueue
from gateway.errors import HopFailed
from gateway.relay import wire

log = structlog.get_logger()
PING = 5.0  # seconds between the PINGs that keep the lease
SILENCE = 20.0  # seconds without a byte from the relay, after which the link is lost
_NAMED = 16 << 20  # bytes of the list of sessions; a row has some 9 KiB at most
_ROWS = 10_000
_PING = struct.Struct("!d")  # the time when the PING was sent


class Link:
    """Carries streams to a relay over one process: call `arrive`, then `named` if wanted, then `run`. `about` is the
    relay's HELLO; `lost` is the error that ended the link, None until then. Calls `after` with each report (AFTER) of
    what the relay has run after a command's end. `slept`: see `SleepWatch.recent`.
    """

    def __init__(
        self,
        process: Process,
        after: Callable[[Mapping[str, Any]], None],
        slept: Callable[[], float] = float,
    ) -> None:
        self.streams: dict[int, LinkStream] = {}
        self.about: dict[str, Any] = {}
        self.lost: HopFailed | None = None
        self.rtt = 0.0  # seconds: the shortest round trip so far; 0 before the first
        self._process = process
        self._queue = SendQueue(process)
        self._after = after
        self._slept = slept
        self._decoder = wire.Decoder()
        self._company = ActivityTracker()
        self._number = 0
        self._over = asyncio.Event()
        self._heard = time.monotonic()
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._busy: set[LinkStream] = set()  # streams that output has just come for

    async def arrive(self, nonce: str, settings: Mapping[str, Any]) -> None:
        """Starts the relay in the process and waits for its HELLO. Raises HopFailed; RelayUnsupported where the
        runner cannot have a relay.
        """
        self._take(await arrive(self._process, nonce, settings))
        while not self.about and not self.lost:
            await self._read()
        if self.lost:
            raise self.lost

    @property
    def relay(self) -> object:
        """Returns the id of the relay's daemon, which is new with every daemon: another daemon has none of its
        sessions.
        """
        return self.about.get("id", self.about.get("pid"))  # a relay of an earlier version has no id

    def offers(self, feature: str) -> bool:
        """True if the relay lists the feature: an earlier relay of the same protocol is not to be asked for it."""
        features = self.about.get("features")
        return isinstance(features, list) and feature in features

    async def named(self) -> list[dict[str, Any]]:
        """Returns the relay's list of sessions that may be attached again, an object for each. Call before `run`.
        Raises HopFailed where the link is lost, or the list is too long or malformed.
        """
        if not self.about.get("named"):
            return []
        stream, text = self.open({"list": True}), bytearray()
        while not stream.ended:
            await self._read()
            text += b"".join(body for _, body in stream.take())
            if len(text) > _NAMED or text.count(b"\n") > _ROWS:
                message = f"the relay's list of sessions is longer than {_NAMED} bytes or {_ROWS} rows"
                raise HopFailed("relay_lost", message)
        if self.lost:
            raise self.lost
        self.forget(stream)
        try:
            return [wire.decode_object(line) for line in bytes(text).splitlines()]
        except wire.WireError as error:
            raise HopFailed("relay_lost", f"the relay broke a rule of the link: {error}") from None

    async def _read(self) -> None:
        """Takes the next bytes of the process; after `run` has begun, the process delivers them itself."""
        batch = await self._process.read()
        if not batch:
            self._closed()
        for kind, data in batch:
            self._arrived(kind, data)

    async def run(self) -> None:
        """Receives frames and sends PINGs until the link is lost. `lost` is set then, and all streams have failed
        with it.
        """
        async with asyncio.TaskGroup() as tasks:
            watchers = [tasks.create_task(self._keep_lease()), tasks.create_task(self._watch_closed())]
            self._process.deliver(self._arrived)
            await self._over.wait()
            for watcher in watchers:
                watcher.cancel()

    def open(self, request: Mapping[str, Any], window: int = wire.WINDOW) -> LinkStream:
        """Sends a request, and returns its stream at once. `window`: bytes of output that the relay may send at
        first. Raises HopFailed when the link is lost, or the request is too long.
        """
        if self.lost:
            raise self.lost
        self._number += 1
        credit = {"credit": window, **({"input": wire.MOST_INPUT} if self.offers("input") else {})}
        frames = wire.encode_request(self._number, {**request, **credit})
        if len(frames) > wire.REQUEST:  # it would end the link of all
            raise HopFailed("bad_request", "the command is too long for the relay in the runner")
        ahead = credit.get("input", wire.INPUT)
        sending = InputWindow.attached(ahead) if "attach" in request else InputWindow(ahead)
        stream = LinkStream(self._number, self.send, window, self._company, sending)
        self.streams[self._number] = stream
        self.send(frames)
        return stream

    def forget(self, stream: LinkStream) -> None:
        """Removes a stream; frames that still come for the stream are dropped."""
        self.streams.pop(stream.number, None)
        self._company.forget(stream.number)

    def send(self, frames: bytes) -> None:
        """Sends frames, or queues them while the process is full; never waits. Fails the link when too many bytes
        that no credit bounds are queued.
        """
        self._queue.send(frames)
        if self._queue.overfull:
            self.fail(HopFailed("incus_lost", "the runner does not read what is sent to it"))

    async def ping(self) -> float:
        """Sends a PING and returns the seconds until its answer. Raises HopFailed when the link is lost, before or
        meanwhile.
        """
        if self.lost:
            raise self.lost
        began = time.perf_counter()
        body = _PING.pack(began)
        self._pongs[body] = asyncio.get_running_loop().create_future()
        self.send(wire.encode(wire.PING, 0, body))
        try:
            await self._pongs[body]
        finally:
            self._pongs.pop(body, None)
        return time.perf_counter() - began

    def fail(self, error: HopFailed) -> None:
        """Ends the link with this error: fails its streams and pings, and closes the process. Ignored if the link is
        lost.
        """
        if self.lost:
            return
        self.lost = error = explain_error(error, self._slept())
        for stream in self.streams.values():
            stream.fail(error)
        for waiter in self._pongs.values():
            if not waiter.done():
                waiter.set_exception(error)
        self._over.set()
        self._queue.flush()
        self._process.close()

    async def _watch_closed(self) -> None:
        await self._process.wait_closed()
        self._closed()

    def _closed(self) -> None:
        """Fails the link with what its process's end means. The carrier exits with 0, whatever became of the daemon;
        another code comes from what ended the carrier.
        """
        if self._process.lost:
            self.fail(self._process.failure())
        elif self._process.exit_code == 0:
            self.fail(HopFailed("relay_lost", "the relay in the runner ended without notice: it was killed"))
        else:
            self.fail(HopFailed("incus_lost", "incus exec ended: the instance or incus was stopped"))

    def _arrived(self, kind: int, data: bytes) -> None:
        """Takes bytes of the process, and grants credit for them. Never raises, since the SSH connection calls it: a
        defect is logged and fails the link.
        """
        if kind != 1:
            return
        try:
            self._take(data)
            for stream in self._busy:
                stream.credit(self.rtt)
        except Exception as defect:  # whatever it is: it ends this link alone
            log.exception("link_defect")
            self.fail(HopFailed("gateway_error", f"a defect: {type(defect).__name__}: {defect}"))
        self._busy.clear()

    def _take(self, data: bytes) -> None:
        self._heard = time.monotonic()
        try:
            for frame in self._decoder.feed(data):
                self._frame(*frame)
        except wire.WireError as error:
            self.fail(HopFailed("relay_lost", f"the relay broke a rule of the link: {error}"))

    def _frame(self, kind: int, number: int, body: bytes) -> None:
        if kind == wire.PONG:
            self._pong(body)
        elif kind == wire.HELLO:
            self.about = wire.decode_object(body)
            if self.about.get("protocol") != wire.PROTOCOL:
                raise wire.WireError(f"protocol {self.about.get('protocol')}, not {wire.PROTOCOL}")
        elif kind == wire.BYE:
            reason = str(wire.decode_object(body).get("reason"))
            self.fail(HopFailed("relay_lost", f"the relay ended the link: {reason}"))
        elif kind == wire.AFTER:
            self._after(wire.decode_after(body))
        elif stream := self.streams.get(number):
            stream.frame(kind, body, self.rtt)
            if kind in (wire.STDOUT, wire.STDERR):
                self._busy.add(stream)

    def _pong(self, body: bytes) -> None:
        if len(body) == _PING.size:
            passed = time.perf_counter() - float(_PING.unpack(body)[0])
            self.rtt = min(self.rtt or passed, passed)
        waiter = self._pongs.get(body)
        if waiter and not waiter.done():
            waiter.set_result(None)

    async def _keep_lease(self) -> None:
        while True:
            self.send(wire.encode(wire.PING, 0, _PING.pack(time.perf_counter())))
            await asyncio.sleep(PING)
            if time.monotonic() - self._heard > SILENCE:
                self.fail(HopFailed("incus_lost", f"nothing came from the runner for {SILENCE:g} s"))
