"""Carries a command across lost links: attaches over the next link and goes on at the byte where output stopped."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.backends.relay.channel import RelayChannel
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_stream import LinkStream
from gateway.backends.relay.seal import Seal
from gateway.backends.resume import RecoveredSession, ResumeListener
from gateway.errors import HopFailed
from gateway.event import Event
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.relay import wire


@dataclass(frozen=True)
class Terms:
    """Holds what all resumable channels of a chain share. `links` returns the link, and waits for it without a limit;
    a channel gives up after `grace` seconds; `seal` signs the notes.
    """

    links: Callable[[], Awaitable[Link]]
    grace: float
    seal: Seal


class ResumableRelayChannel(RelayChannel):
    """See `ResumableChannel`. Only for terminals: their output is one stream, so that offsets in the relay's journal
    are offsets of the output. `stream`: started the command; None for a recovered session (`found`), to which the
    channel attaches when its output is read. `owner` receives its events.
    """

    def __init__(
        self,
        stream: LinkStream | None,
        terms: Terms,
        found: RecoveredSession,
        target: Target,
        command: Command,
        owner: ResumeListener,
    ) -> None:
        super().__init__(stream or _lost(), target, command, kubectl=bool(target.pod))
        self.name = found.name
        self.left = False
        self._links = terms.links
        self._owner = owner
        self._grace = terms.grace
        self._seal = terms.seal
        self._offset = found.start  # of the next byte of output
        self._received = found.received  # offset: the relay has all input before it
        self._held = bytearray()  # input from that offset on, which was sent
        self._size: TerminalSize | None = None
        self._note: Mapping[str, Any] | None = None
        self._seen = 0
        self._unknown: Outcome | None = None
        self._attached = Event()
        self._found = stream is None

    def carry(self, stream: LinkStream, *, kubectl: bool) -> None:
        """See `RelayChannel.carry`."""
        super().carry(stream, kubectl=kubectl)
        stream.received = self._arrived

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See `Channel.output`."""
        while True:
            while batch := await self._stream.read():
                for kind, body in batch:
                    if kind == wire.STDOUT:
                        self._offset += len(body)
                        yield Stream.STDOUT, body
                    elif kind == wire.GAP:
                        self._goes_on_at(wire.decode_offset(body))
            if self._stream.exit is not None or not await self._again():
                break
        self._last()
        self._attached.set()  # nobody waits for another link

    async def write(self, data: bytes) -> None:
        """See `Channel.write`. Waits while no link is attached, until the session is over. Input that is lost with a link is sent again on the
        next.
        """
        self._end.input_sent(data)
        view = memoryview(data)
        while view and self._stream.exit is None and not self.outcome:
            if self._stream.ended:
                self._attached.clear()
                await self._attached.wait()
            elif room := await self._stream.room(len(view)):
                part = bytes(view[:room])
                view = view[room:]
                self._held += part
                self._stream.put(part)

    def resize(self, size: TerminalSize) -> None:
        """See `Channel.resize`."""
        self._size = size
        super().resize(size)

    def seen(self, offset: int) -> None:
        """See `ResumableChannel.seen`."""
        self._seen = max(self._seen, offset)
        self._stream.tell(wire.SEEN, offset.to_bytes(8, "big"))

    def skip(self) -> None:
        """See `ResumableChannel.skip`."""
        self._stream.say(wire.SKIP)

    def note(self, note: Mapping[str, Any]) -> None:
        """See `ResumableChannel.note`."""
        self._note = note
        self._stream.tell(
            wire.NOTE, json.dumps(self._seal.sign(self.name, note), ensure_ascii=False).encode()
        )

    def hand_over(self) -> None:
        """See `ResumableChannel.hand_over`."""
        self.left = True

    def _arrived(self, offset: int) -> None:
        if offset > self._received:
            del self._held[: offset - self._received]
            self._received = offset
            self._owner.on_input_acknowledged(offset)

    def _goes_on_at(self, offset: int) -> None:
        if offset > self._offset:
            self._offset = offset
            self._owner.on_output_gap(offset)

    async def _again(self) -> bool:
        """Attaches over the next link that holds, and reports the lost hop and its return. False where no link holds
        within the grace time, or the relay does not know the session.
        """
        failure = self._stream.failure or HopFailed("relay_lost", "the link was lost")
        clock = asyncio.get_running_loop().time
        until = clock() + self._grace
        reported = not self._found
        self._found = False
        if reported:
            self._owner.on_hop_status(failure.outcome(), self._grace)
        try:
            async with asyncio.timeout_at(until):
                while True:
                    try:
                        known = await self._attach(await self._links())
                        break
                    except HopFailed as error:
                        reported = True
                        self._owner.on_hop_status(error.outcome(), until - clock())
        except TimeoutError:
            return False
        if not known:
            message = f"{failure.message}; the present relay does not know the session"
            self._unknown = Outcome("relay_lost", message)
            return False
        if reported:
            self._owner.on_hop_status(None, 0.0)
        return True

    async def _attach(self, link: Link) -> bool:
        """Attaches over the link, and sends again what the relay may lack: input, size, note and acknowledgement.
        False where the relay does not know the session. Raises HopFailed when the link is lost meanwhile.
        """
        stream = link.open({"attach": self.name, "offset": self._offset})
        try:
            await stream.start()
        except BaseException:
            link.forget(stream)
            raise
        if stream.exit and stream.exit.get("unknown"):
            link.forget(stream)
            return False
        self._stream, about = stream, stream.started or {}
        self._goes_on_at(int(about.get("offset", 0)))
        self._arrived(int(about.get("received", 0)))
        stream.received = self._arrived
        stream.put(bytes(self._held))
        if self._size:
            super().resize(self._size)
        if self._note is not None:
            self.note(self._note)
        if self._seen:
            self.seen(self._seen)
        self._attached.set()
        return True

    def _unfinished(self) -> Outcome | None:
        return self._unknown or super()._unfinished()


def _lost() -> LinkStream:
    """Returns a stream whose link is lost, for a session of an earlier process."""
    stream = LinkStream.nowhere()
    stream.fail(HopFailed("relay_lost", "the gateway process that had the session ended"))
    return stream
