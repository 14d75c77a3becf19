"""Lets a session outlive its client, its hops and its gateway: a terminal on a backend whose sessions are resumable.

    client ── attach, detach, attach ──▶ session ── ResumeListener ◀── channel ◀── journal at the far side

Output stays in the session's journal, and in the journal at the far side, until a client has acknowledged it. One client
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
from gateway.event import Event
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command
from gateway.protocol.terminal_modes import ModeHistory
from gateway.sessions.record import Secret, SessionRecord

if TYPE_CHECKING:
    from gateway.sessions.session import Session

NEWEST = 64 * 1024  # bytes of the last output that a client without an offset receives
_GONE = ("client_closed", "client_lost", "shutdown")  # outcomes that no client waits for


class Trouble(NamedTuple):
    """Describes a lost hop. `why`: the failure; `until`: when the session stops waiting, on the loop's clock."""

    why: Outcome
    until: float


class Resumption:
    """Makes one session resumable, as the ResumeListener of the session's channel. `found`: the session as an earlier
    process of this gateway left it; None for a new session.
    """

    def __init__(self, resume: Resume, record: SessionRecord, found: RecoveredSession | None = None) -> None:
        self.grace = resume.grace
        self.survives = resume.survives
        self.trouble: Trouble | None = None
        self.left = False  # handed over to the next process of the gateway
        self.found = found
        # the attachment that holds the session; the resumption itself from the opening until the first attachment
        self.holder: object | None = None if found else self
        self.counted = record.counted  # an earlier process logged and counted the end
        self._resume = resume
        self._opened = record.opened
        self._modes = ModeHistory(NEWEST, record.modes.encode("ascii", "replace"))
        self._ended = False  # the command has ended by itself: the end is counted, and waits for a client
        self._secret = Secret(record.hashes)
        # offsets of output: acknowledged by a client; written at the far side and maybe still on its way
        self._seen = self._coming = 0
        self._confirmed = found is not None  # a client has the secret that an attach needs
        self._channel: ResumableChannel | None = None
        self._end_delivered = Event()  # or no client waits for the end
        self._alone: asyncio.TimerHandle | None = None
        self._session: Session

    def bind(self, session: "Session") -> None:
        """Ties this resumption to its session. Sets a recovered session to its offsets and age, and waits for a client."""
        self._session = session
        if self.found:
            self._seen, self._coming = self.found.seen, self.found.end
            session.go_on(self.found, max(0.0, time.time() - self._opened))
            self._wait_for_client()

    # called by an attachment
    def admit(self, identity: Identity, secret: str | None, offset: int | None) -> int:
        """Returns the offset at which this client's output starts; for `offset` None, at most NEWEST bytes before the end.
        Raises Refused: resume_refused for another identity or a wrong secret, offset_gone for output that is not kept.
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
                "offset_gone",
                f"output is kept from {self._seen} to {end}, and {offset} is outside of this range",
            )
        return offset

    def attach(self, holder: object, used: str | None) -> str:
        """Makes `holder` the session's only holder, stops the grace time, and returns a new secret. The secret `used` at
        the attach stays good until `confirm_secret`; every other secret becomes invalid.
        """
        if self._alone:
            self._alone.cancel()
        self.holder, self._alone = holder, None
        secret = self._secret.renew(used)
        self._take_note()
        self._session.changed()
        return secret

    def confirm_secret(self) -> None:
        """Invalidates every secret but the newest: the holder has shown that it received its hello."""
        self._confirmed = True
        if self._secret.confirm():
            self._take_note()

    def release(self) -> None:
        """Gives up the opener's hold: the session's end waits for no client. Does nothing once an attachment holds it."""
        self.detach(self, None)

    def detach(self, holder: object, gone: Outcome | None) -> None:
        """Removes `holder`, whose connection is over; does nothing for another holder. `gone`: None if the client received
        the end; `client_lost` starts the grace time, if a client can attach; every other outcome ends the session.
        """
        if self.holder is not holder:
            return
        self.holder = None
        if gone is None:
            self._end_delivered.set()
        elif gone.code != "client_lost" or not self._confirmed:  # no client has the secret to attach with
            self._end_delivered.set()
            self._session.end(gone)
        else:
            self._wait_for_client()

    def acknowledge_output(self, offset: int) -> None:
        """Drops the output before `offset`, here and at the far side."""
        self._seen = max(self._seen, offset)
        self._session.output.drop(offset)
        if self._channel:
            self._channel.seen(offset)

    def modes(self, offset: int) -> str:
        """Returns the sequences that set a terminal's modes as the output before `offset` has set them."""
        return self._modes.at(offset)

    def interrupt(self, offset: int) -> bool:
        """Drops all but the newest output of a flood that waits behind `offset`, here and at the far side. Returns True if
        a flood waited here.
        """
        if self._channel:
            self._channel.skip()
        return self._session.output.skip_flood(offset)

    def hand_over(self) -> None:
        """Ends the session here with the outcome shutdown; an open channel leaves its command to the next gateway process."""
        if self._channel:
            self.left = True
            self._take_note()  # the modes have changed since the last note
            self._channel.hand_over()
        self._session.end(Outcome("shutdown"))
        self._session.changed()

    # called by the channel
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

    # called by the session
    def on_output(self, data: bytes) -> None:
        """Follows the modes that the next bytes of output set."""
        self._modes.take(self._session.output.end, data)

    @asynccontextmanager
    async def channel(self, command: Command) -> AsyncIterator[ResumableChannel]:
        """Opens the channel of a new session, or recovers that of a found session. Keeps the channel open after the
        command's end until a client has received the end or the grace time is over. Raises what the backend raises.
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
                if not self._session.ending:  # the far side keeps the end until the channel closes
                    self._ended = True
                    self._session.end_over()
                    self._take_note()
                    await self._until_delivered()
            finally:
                self._channel = None

    def on_end(self, outcome: Outcome) -> None:
        """Stops waiting for a client if no client waits for this outcome, as after the client closed the session."""
        if outcome.code in _GONE:
            self._end_delivered.set()

    async def closed(self, outcome: Outcome) -> None:
        """Waits until a client has received the session's end, at most for the grace time, and stops the timer of a lost
        client. Does not wait after a hand-over, or for an outcome that no client waits for.
        """
        if not self.left and outcome.code not in _GONE:
            await self._until_delivered()
        if self._alone:
            self._alone.cancel()

    async def _until_delivered(self) -> None:
        if not self._confirmed and not self.holder:
            return  # no client can attach
        with suppress(TimeoutError):
            async with asyncio.timeout(self.grace):
                await self._end_delivered.wait()

    def _wait_for_client(self) -> None:
        loop = asyncio.get_running_loop()
        self._alone = loop.call_later(self.grace, self._session.end, Outcome("client_lost"))
        self._session.changed()

    def _note(self) -> SessionRecord:
        session, counted = self._session, self.counted or self._ended
        identity = replace(session.identity, credential=session.credential)
        modes = self.modes(session.output.end)
        way = (self._channel.way if self._channel else "") or session.way
        where, what = session.target, session.command
        return SessionRecord(identity, where, what, self._secret.hashes, self._opened, counted, modes, way)

    def _take_note(self) -> None:
        if self._channel:
            self._channel.note(self._note().body())
