"""A session that outlives its client, its hops and its gateway: a terminal on a backend that keeps sessions.

    client ── attach, detach, attach ──▶ session ── ResumeListener ◀── channel ◀── journal at the far side

What it writes stays in its journal until a client has seen it; so it does at the far side. One client at a time has it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from gateway.access.identity import Identity
from gateway.backends.contract import Backend, Channel
from gateway.backends.resume import RecoveredSession, ResumableChannel, Resume
from gateway.errors import Refused
from gateway.protocol.outcome import Outcome
from gateway.relay.journal import Journal
from gateway.sessions.record import Secret, SessionRecord
from gateway.sessions.session import Session
from gateway.settings.config import Limits

NEWEST = 64 * 1024  # bytes of output for a client that has seen nothing
_GONE = ("client_closed", "client_lost", "shutdown")  # ends that no client waits to hear of


class Trouble(NamedTuple):
    """A hop is lost. `until`: how long it is waited for, on the loop's clock."""

    why: Outcome
    until: float


class ResumableSession(Session):
    """See `Session`; its channel's ResumeListener. `found`: what an earlier life of this gateway left."""

    def __init__(
        self,
        name: str,
        note: SessionRecord,
        backend: Backend,
        resume: Resume,
        limits: Limits,
        found: RecoveredSession | None = None,
    ) -> None:
        super().__init__(name, note.identity, note.target, note.command, backend, limits)
        self.output = Journal(limits.journal_memory, limits.journal_capacity, newest=True)
        self.resumable = True
        self.grace = resume.grace
        self.survives = resume.survives
        self.trouble: Trouble | None = None
        self.left = False  # to the next life of the gateway
        self.found = found
        # the attachment that has it; itself until whoever opens it is attached
        self.holder: object | None = None if found else self
        self._resume = resume
        self._opened = note.opened
        self.counted = note.counted  # its end, by an earlier life
        self._ended = False  # the end waits to be told, and is counted
        self._secret = Secret(note.hashes)
        self._seen = self._coming = (
            0  # offsets of output: acknowledged; there, though it may not have come yet
        )
        self._confirmed = found is not None  # some client can attach
        self._channel: ResumableChannel | None = None
        self._told = asyncio.Event()
        self._alone: asyncio.TimerHandle | None = None
        if found:
            self._continue(found)

    def _continue(self, found: RecoveredSession) -> None:
        self.output.skip_to(found.start)
        self._input.skip_to(found.received)
        self.bytes_in = self.received = found.received
        self._seen, self._coming = found.seen, found.end
        self._asked = float("-inf")  # by nobody lately, as far as is known
        age = max(0.0, time.time() - self._opened)
        self.times.began -= age
        self.lifetime.began -= age
        self._wait_for_client()

    # what an attachment calls
    def admit(self, identity: Identity, secret: str | None, offset: int | None) -> int:
        """The offset where this client goes on. Raises Refused where it may not, or where there is no such output."""
        if identity.name != self.identity.name:
            raise Refused("resume_refused", "the session belongs to somebody else")
        if secret is not None and not self._secret.is_good(secret):
            raise Refused(
                "resume_refused", "another client took the session over, or the secret was never its own"
            )
        end = max(self.output.end, self._coming)
        if offset is None:
            return max(self.output.start, end - NEWEST)
        if not self._seen <= offset <= end:
            raise Refused(
                "offset_gone", f"output is kept from {self._seen} to {end}, and {offset} is not in there"
            )
        return offset

    def attach(self, holder: object, used: str | None) -> str:
        """The session is this holder's from now on, and its new secret. `used`: the one that it was admitted with."""
        if self._alone:
            self._alone.cancel()
        self.holder, self._alone = holder, None
        secret = self._secret.renew(used)
        self._take_note()
        self._changed()
        return secret

    def confirm_secret(self) -> None:
        """The holder has said something that only a client with its hello can say."""
        self._confirmed = True
        if self._secret.confirm():
            self._take_note()

    def detach(self, holder: object, gone: Outcome | None) -> None:
        """The holder's connection is over; None: its client has heard the end. What a lost one leaves waits for the
        next; a client that closed it wants its end.
        """
        if self.holder is not holder:
            return
        self.holder = None
        if gone is None:
            self._told.set()
        elif gone.code != "client_lost" or not self._confirmed:  # nobody could attach to it
            self._told.set()
            self.end(gone)
        else:
            self._wait_for_client()

    def acknowledge_output(self, offset: int) -> None:
        """Output before it is not needed again."""
        self._seen = max(self._seen, offset)
        self.output.drop(offset)
        if self._channel:
            self._channel.seen(offset)

    def interrupt(self, offset: int) -> bool:
        """Of a flood that waits behind `offset` only the newest is wanted, here and at the far side. No where there is
        none here.
        """
        if self._channel:
            self._channel.skip()
        return self.output.skip_flood(offset)

    def hand_over(self) -> None:
        """Ends here, and goes on there: for a later life of this gateway."""
        if self._channel:
            self.left = True
            self._channel.hand_over()
        self.end(Outcome("shutdown"))
        self._changed()

    def end(self, outcome: Outcome) -> None:
        """See `Session.end`."""
        super().end(outcome)
        if outcome.code in _GONE:
            self._told.set()

    @property
    def attached(self) -> bool:
        """A client has it."""
        return self.holder is not None

    def _starts(self) -> None:
        if not self.found:
            super()._starts()

    def _taken(self, offset: int) -> None:
        """Not yet: the channel says when it is at the far side."""

    # what the channel calls
    def on_input_acknowledged(self, offset: int) -> None:
        """See `ResumeListener.on_input_acknowledged`."""
        self.received = max(self.received, offset)
        self._changed()

    def on_output_gap(self, offset: int) -> None:
        """See `ResumeListener.on_output_gap`."""
        if offset > self.output.end and not self.output.closed:
            self.output.skip_to(offset)
            self._changed()

    def on_hop_status(self, why: Outcome | None, seconds: float) -> None:
        """See `ResumeListener.on_hop_status`."""
        self.trouble = Trouble(why, asyncio.get_running_loop().time() + seconds) if why else None
        self._changed()

    # its story
    async def run(self) -> Outcome:
        """See `Session.run`. Its end stays to be told for the grace time, if nobody has heard it."""
        outcome = await super().run()
        if not self.left and outcome.code not in _GONE:
            await self._until_told()
        if self._alone:
            self._alone.cancel()
        return outcome

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Channel]:
        if self.found:
            opened = self._resume.recover(self.found, self.target, self._sized(), self)
        else:
            opened = self._resume.keep(self.target, self._sized(), self.name, self._note().body(), self)
        async with opened as channel:
            self._channel = channel
            self._take_note()
            try:
                yield channel
                if not self._ending.done():  # until then the far side has the end, too
                    self._ended = True
                    self.end_over()
                    self._take_note()
                    await self._until_told()
            finally:
                self._channel = None

    async def _until_told(self) -> None:
        if not self._confirmed and not self.holder:
            return  # nobody could ask
        with suppress(TimeoutError):
            async with asyncio.timeout(self.grace):
                await self._told.wait()

    def _wait_for_client(self) -> None:
        loop = asyncio.get_running_loop()
        self._alone = loop.call_later(self.grace, self.end, Outcome("client_lost"))
        self._changed()

    def _note(self) -> SessionRecord:
        hashes, counted = self._secret.hashes, self.counted or self._ended
        return SessionRecord(self.identity, self.target, self.command, hashes, self._opened, counted)

    def _take_note(self) -> None:
        if self._channel:
            self._channel.note(self._note().body())
