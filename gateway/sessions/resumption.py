"""What lets a session outlive its client, its hops and its gateway: a terminal on a backend that keeps sessions.

    client ── attach, detach, attach ──▶ session ── ResumeListener ◀── channel ◀── journal at the far side

What the session writes stays in its journal until a client has acknowledged it; so it does at the far side. One client
at a time holds the session.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from gateway.access.identity import Identity
from gateway.backends.resume import RecoveredSession, ResumableChannel, Resume
from gateway.errors import Refused
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command
from gateway.sessions.record import Secret, SessionRecord

if TYPE_CHECKING:
    from gateway.sessions.session import Session

NEWEST = 64 * 1024  # bytes of output for a client that has seen nothing
_GONE = ("client_closed", "client_lost", "shutdown")  # ends that no client waits to hear of


class Trouble(NamedTuple):
    """A lost hop. `until`: how long the session waits for the hop, on the loop's clock."""

    why: Outcome
    until: float


class Resumption:
    """One session's; the ResumeListener of its channel. `found`: what an earlier life of this gateway left."""

    def __init__(self, resume: Resume, record: SessionRecord, found: RecoveredSession | None = None) -> None:
        self.grace = resume.grace
        self.survives = resume.survives
        self.trouble: Trouble | None = None
        self.left = False  # to the next life of the gateway
        self.found = found
        # the attachment that has the session; the resumption itself until whoever opens it is attached
        self.holder: object | None = None if found else self
        self.counted = record.counted  # its end, by an earlier life
        self._resume = resume
        self._opened = record.opened
        self._ended = False  # the end waits to be told, and is counted
        self._secret = Secret(record.hashes)
        # offsets of output: acknowledged; written, though it may not have come yet
        self._seen = self._coming = 0
        self._confirmed = found is not None  # some client can attach
        self._channel: ResumableChannel | None = None
        self._told = asyncio.Event()
        self._alone: asyncio.TimerHandle | None = None
        self._session: Session

    def bind(self, session: "Session") -> None:
        """Makes the session resumable; a recovered one goes on at its offsets and waits for a client."""
        self._session = session
        if self.found:
            self._seen, self._coming = self.found.seen, self.found.end
            session.go_on(self.found, max(0.0, time.time() - self._opened))
            self._wait_for_client()

    # what an attachment calls
    def admit(self, identity: Identity, secret: str | None, offset: int | None) -> int:
        """Returns the offset where this client goes on. Raises Refused where the client may not attach, or where there is
        no such output.
        """
        if identity.name != self._session.identity.name:
            raise Refused("resume_refused", "the session belongs to somebody else")
        if secret is not None and not self._secret.is_good(secret):
            raise Refused(
                "resume_refused", "another client took the session over, or the secret was never its own"
            )
        output = self._session.output
        end = max(output.end, self._coming)
        if offset is None:
            return max(output.start, end - NEWEST)
        if not self._seen <= offset <= end:
            raise Refused(
                "offset_gone", f"output is kept from {self._seen} to {end}, and {offset} is not in there"
            )
        return offset

    def attach(self, holder: object, used: str | None) -> str:
        """Gives the session to this holder and returns its new secret. `used`: the secret that the holder was admitted
        with.
        """
        if self._alone:
            self._alone.cancel()
        self.holder, self._alone = holder, None
        secret = self._secret.renew(used)
        self._take_note()
        self._session.changed()
        return secret

    def confirm_secret(self) -> None:
        """Forgets the secrets before the newest: the holder has sent what only a client with its hello can send."""
        self._confirmed = True
        if self._secret.confirm():
            self._take_note()

    def release(self) -> None:
        """Takes the session from whoever opened it, not from who has taken it over."""
        self.detach(self, None)

    def detach(self, holder: object, gone: Outcome | None) -> None:
        """Takes the session from the holder, whose connection is over; None: its client has heard the end. What a lost
        client leaves waits for the next one; a client that closed the session ends it.
        """
        if self.holder is not holder:
            return
        self.holder = None
        if gone is None:
            self._told.set()
        elif gone.code != "client_lost" or not self._confirmed:  # nobody could attach to it
            self._told.set()
            self._session.end(gone)
        else:
            self._wait_for_client()

    def acknowledge_output(self, offset: int) -> None:
        """Drops output before the offset, here and at the far side."""
        self._seen = max(self._seen, offset)
        self._session.output.drop(offset)
        if self._channel:
            self._channel.seen(offset)

    def interrupt(self, offset: int) -> bool:
        """Drops all but the newest of a flood that waits behind `offset`, here and at the far side. Returns False where
        none waits here.
        """
        if self._channel:
            self._channel.skip()
        return self._session.output.skip_flood(offset)

    def hand_over(self) -> None:
        """Ends the session here, and leaves it at the far side for a later life of this gateway."""
        if self._channel:
            self.left = True
            self._channel.hand_over()
        self._session.end(Outcome("shutdown"))
        self._session.changed()

    # what the channel calls
    def on_input_acknowledged(self, offset: int) -> None:
        """See `ResumeListener.on_input_acknowledged`."""
        self._session.acknowledge_input(offset)

    def on_output_gap(self, offset: int) -> None:
        """See `ResumeListener.on_output_gap`."""
        output = self._session.output
        if offset > output.end and not output.closed:
            output.skip_to(offset)
            self._session.changed()

    def on_hop_status(self, why: Outcome | None, seconds: float) -> None:
        """See `ResumeListener.on_hop_status`."""
        self.trouble = Trouble(why, asyncio.get_running_loop().time() + seconds) if why else None
        self._session.changed()

    # what the session calls
    @asynccontextmanager
    async def channel(self, command: Command) -> AsyncIterator[ResumableChannel]:
        """Opens the session's channel, or recovers it. After the command's end the channel stays open until a client has
        heard of the end, or the grace time is over.
        """
        target, name = self._session.target, self._session.name
        if self.found:
            opened = self._resume.recover(self.found, target, command, self)
        else:
            opened = self._resume.keep(target, command, name, self._note().body(), self)
        async with opened as channel:
            self._channel = channel
            self._take_note()
            try:
                yield channel
                if not self._session.ending:  # until then the far side has the end, too
                    self._ended = True
                    self._session.end_over()
                    self._take_note()
                    await self._until_told()
            finally:
                self._channel = None

    def on_end(self, outcome: Outcome) -> None:
        """Learns that the session was told to end: nobody waits to hear of some ends."""
        if outcome.code in _GONE:
            self._told.set()

    async def closed(self, outcome: Outcome) -> None:
        """Waits after the session's end until a client has heard of it, at most for the grace time."""
        if not self.left and outcome.code not in _GONE:
            await self._until_told()
        if self._alone:
            self._alone.cancel()

    async def _until_told(self) -> None:
        if not self._confirmed and not self.holder:
            return  # nobody could ask
        with suppress(TimeoutError):
            async with asyncio.timeout(self.grace):
                await self._told.wait()

    def _wait_for_client(self) -> None:
        loop = asyncio.get_running_loop()
        self._alone = loop.call_later(self.grace, self._session.end, Outcome("client_lost"))
        self._session.changed()

    def _note(self) -> SessionRecord:
        one, counted = self._session, self.counted or self._ended
        identity = replace(one.identity, credential=one.credential)
        return SessionRecord(identity, one.target, one.command, self._secret.hashes, self._opened, counted)

    def _take_note(self) -> None:
        if self._channel:
            self._channel.note(self._note().body())
