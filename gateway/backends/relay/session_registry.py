"""What of this gateway's is at its relay beyond a link: whose it is, what is to be ended there, what was found."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from gateway.backends.relay.link import Link
from gateway.backends.relay.link_stream import LinkStream
from gateway.backends.relay.resumable_channel import ResumableRelayChannel
from gateway.backends.relay.seal import Seal
from gateway.backends.resume import RecoveredSession
from gateway.errors import HopFailed
from gateway.relay import wire
from gateway.timeouts import wait_within

log = structlog.get_logger()
_FORGED = "this gateway has not signed what the relay says of it"
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)  # of a session


class SessionRegistry:
    """One for each chain. `linked` is called with each new link, before anything else goes over it."""

    def __init__(self, seal: Seal, cluster: str) -> None:
        self.seal = seal
        self._cluster = cluster
        self._names: set[str] = set()  # somebody here has them, or was offered them
        self._unwanted: set[str] = set()  # and it is not sure that the relay has heard it
        self._found: asyncio.Queue[list[RecoveredSession]] = asyncio.Queue()
        self._looked = False

    async def linked(self, link: Link) -> None:
        """Raises HopFailed when the link goes meanwhile."""
        there = [_found(row) for row in await link.named()]
        self._unwanted &= {one.name for one in there}
        for name in self._unwanted:
            _end_there(link, name)
        found = self._believed([one for one in there if one.name not in self._names | self._unwanted], link)
        self._names |= {one.name for one in found}
        if found or not self._looked:
            self._looked = True
            self._found.put_nowait(found)

    def _believed(self, there: list[RecoveredSession], link: Link) -> list[RecoveredSession]:
        """Returns the sessions whose notes this gateway has signed, and ends the others: root in the runner may have
        planted them, or a gateway of before there were signatures has left them.
        """
        opened = [(one, self.seal.open(one.name, one.note)) for one in there]
        forged = [one.name for one, note in opened if note is None]
        for name in forged:
            self.discard(name, link)
        if forged:
            log.warning(
                "session_discarded",
                cluster=self._cluster,
                session=forged[0],
                count=len(forged),
                reason=_FORGED,
            )
        return [replace(one, note=note) for one, note in opened if note is not None]

    def no_relay(self) -> None:
        """There is none in the runner, and so nothing of ours."""
        if not self._looked:
            self._looked = True
            self._found.put_nowait([])

    async def found(self) -> AsyncIterator[list[RecoveredSession]]:
        """See `ResumableBackend.found`."""
        while True:
            yield await self._found.get()

    def has(self, name: str) -> None:
        """Somebody here has it."""
        self._names.add(name)

    def discard(self, name: str, link: Link | None) -> None:
        """Ends it there, at the latest over the next link."""
        self._names.discard(name)
        self._unwanted.add(name)
        if link and not link.lost:
            _end_there(link, name)

    async def end(self, channel: ResumableRelayChannel, link: Link | None, seconds: float) -> None:
        """The channel is no longer needed. Waits at most so long for the command's end, unless the channel was left."""
        stream = channel.stream
        self._names.discard(channel.name)
        if not link or link.streams.get(stream.number) is not stream:
            if not channel.left:
                self.discard(channel.name, link)
            return
        try:
            if not channel.left:
                await self._end(channel.name, link, stream, seconds)
        finally:
            link.forget(stream)

    async def _end(self, name: str, link: Link, stream: LinkStream, seconds: float) -> None:
        async def heard() -> None:
            await stream.wait_ended()
            await link.ping()  # its answer comes after the relay has heard END

        self._unwanted.add(name)
        link.send(wire.encode(wire.END, stream.number))
        with suppress(HopFailed):
            if await wait_within(heard(), seconds):
                self._unwanted.discard(name)


def _end_there(link: Link, name: str) -> None:
    stream = link.open({"attach": name})
    link.send(wire.encode(wire.END, stream.number))
    link.forget(stream)


def _found(row: dict[str, Any]) -> RecoveredSession:
    """Raises HopFailed."""
    name, note = row.get("name"), row.get("note")
    numbers: list[Any] = [row.get(key) for key in ("seen", "start", "end", "received")]
    if not (isinstance(name, str) and _NAME.fullmatch(name) and all(map(wire.is_offset, numbers))):
        raise HopFailed("relay_lost", "the relay broke a rule of the link: a line of its list")
    return RecoveredSession(name, note if isinstance(note, dict) else {}, *numbers)
