"""Tracks this gateway's sessions at its relay across links: sessions in use, to be ended, and to be recovered."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from gateway.backends.relay.link import Link
from gateway.backends.relay.link_stream import LinkStream
from gateway.backends.relay.live_sessions import LiveSessions
from gateway.backends.relay.resumable_channel import ResumableRelayChannel
from gateway.backends.relay.seal import Seal
from gateway.backends.resume import RecoveredSession
from gateway.errors import HopFailed
from gateway.relay import wire
from gateway.timeouts import wait_within

log = structlog.get_logger()
_FORGED = "the relay's record of it has no valid signature of this gateway"
_ENDED = "the gateway has seen its end before"
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)  # a session's name


class SessionRegistry:
    """Tracks the sessions of one chain. Call `linked` with each new link, before anybody else uses the link."""

    def __init__(self, seal: Seal, cluster: str, live: LiveSessions) -> None:
        self.seal = seal
        self._live = live
        self._cluster = cluster
        self._names: set[str] = set()  # sessions that this process has, or was offered by `found`
        self._unwanted: set[str] = set()  # sessions to be ended; the relay may not know that yet
        self._found: asyncio.Queue[list[RecoveredSession]] = asyncio.Queue()
        self._looked = False

    async def linked(self, link: Link) -> None:
        """Reads the relay's list of sessions over a new link: ends the discarded ones, and hands those that this
        process does not have to `found`; the first time an empty list too. Raises HopFailed where the link is lost or
        the list is malformed.
        """
        listed = [_found(row) for row in await link.named()]
        self._unwanted &= {session.name for session in listed}
        for name in self._unwanted:
            _end_there(link, name)
        known = self._names | self._unwanted
        recovered = self._believed([session for session in listed if session.name not in known], link)
        self._names |= {session.name for session in recovered}
        if recovered or not self._looked:
            self._looked = True
            self._found.put_nowait(recovered)

    def _believed(self, listed: list[RecoveredSession], link: Link) -> list[RecoveredSession]:
        """Returns the sessions whose notes this gateway has signed, and whose end it has not seen. Discards the others:
        root in the runner may have planted them, or a gateway of a version without signatures has left them.
        """
        opened = [(session, self.seal.open(session.name, session.note)) for session in listed]
        signed = [replace(session, note=note) for session, note in opened if note is not None]
        self._refuse([session.name for session, note in opened if note is None], _FORGED, link)
        self._refuse([session.name for session in signed if session.name not in self._live], _ENDED, link)
        return [session for session in signed if session.name in self._live]

    def _refuse(self, names: list[str], reason: str, link: Link) -> None:
        """Discards the sessions and logs that, in one line for all."""
        for name in names:
            self.discard(name, link)
        if names:
            log.warning(
                "session_discarded", cluster=self._cluster, session=names[0], count=len(names), reason=reason
            )

    def no_relay(self) -> None:
        """Records that the runner cannot have a relay: `found` yields an empty list, unless it had a list before."""
        if not self._looked:
            self._looked = True
            self._found.put_nowait([])

    async def found(self) -> AsyncIterator[list[RecoveredSession]]:
        """See `Resume.found`."""
        while True:
            yield await self._found.get()

    def has(self, name: str) -> None:
        """Records that this process has begun the session, so that `found` leaves it out now, and believes it later."""
        self._names.add(name)
        self._live.add(name)

    def discard(self, name: str, link: Link | None) -> None:
        """Ends the session at the relay: over `link` if it is up, and over each later link that still lists the
        session.
        """
        self._names.discard(name)
        self._live.remove(name)
        self._unwanted.add(name)
        if link and not link.lost:
            _end_there(link, name)

    async def end(self, channel: ResumableRelayChannel, link: Link | None, seconds: float) -> None:
        """Ends the command of a channel that is no longer needed; waits at most `seconds` for that where the channel
        is attached over `link`. A command that was handed over goes on.
        """
        stream = channel.stream
        self._names.discard(channel.name)
        if not channel.left:
            self._live.remove(channel.name)
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
        async def confirmed() -> None:
            await stream.wait_ended()
            await link.ping()  # its answer comes after the relay has received END

        self._unwanted.add(name)
        link.send(wire.encode(wire.END, stream.number))
        with suppress(HopFailed):
            if await wait_within(confirmed(), seconds):
                self._unwanted.discard(name)


def _end_there(link: Link, name: str) -> None:
    stream = link.open({"attach": name})
    link.send(wire.encode(wire.END, stream.number))
    link.forget(stream)


def _found(row: dict[str, Any]) -> RecoveredSession:
    """Returns the session that a row of the relay's list describes. Raises HopFailed where the row is malformed."""
    name, note = row.get("name"), row.get("note")
    numbers: list[Any] = [row.get(key) for key in ("seen", "start", "end", "received")]
    if not (isinstance(name, str) and _NAME.fullmatch(name) and all(map(wire.is_offset, numbers))):
        raise HopFailed("relay_lost", "the relay broke a rule of the link: a line of its list is malformed")
    return RecoveredSession(name, note if isinstance(note, dict) else {}, *numbers)
