"""The contract of a backend whose sessions outlive the gateway's link to them, and the gateway itself."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.backends.contract import Channel
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target


@dataclass(frozen=True)
class RecoveredSession:
    """A session that an earlier process of this gateway has left. `note`: the last note that its channel stored.
    Offsets of its output: `seen` was acknowledged, `start` to `end` is stored. `received`: the bytes of its input.
    """

    name: str
    note: Mapping[str, Any]
    seen: int
    start: int
    end: int
    received: int


class ResumeListener(Protocol):
    """Receives the events of a resumable channel, in the session's own task or the link's. No method may wait."""

    def on_input_acknowledged(self, offset: int) -> None:
        """Called when input before `offset` has reached the far side: the session may forget that input."""
        ...

    def on_output_gap(self, offset: int) -> None:
        """Called when output was lost: the output goes on at `offset`, and what is missing before it cannot be
        recovered.
        """
        ...

    def on_hop_status(self, why: Outcome | None, seconds: float) -> None:
        """Called when a hop is lost, with its failure `why` and the seconds that the channel waits for it; `why` is
        None when the hop is back.
        """
        ...


class ResumableChannel(Channel, Protocol):
    """A channel that survives a lost hop: `output` waits for the next link and goes on at the same byte; input that
    had not arrived is sent again. When the grace time is over, the channel ends with that hop's failure.
    """

    def seen(self, offset: int) -> None:
        """Acknowledges the output before `offset`: the far side may drop that output."""
        ...

    def skip(self) -> None:
        """Asks for only the newest of the output that waits at the far side; `on_output_gap` reports what is left
        out.
        """
        ...

    def note(self, note: Mapping[str, Any]) -> None:
        """Replaces the session's note at the far side: at most 8 KiB of JSON."""
        ...

    def hand_over(self) -> None:
        """Makes the command survive the end of the channel's context: a later process of this gateway recovers it."""
        ...


class Resume(Protocol):
    """Opens and recovers resumable sessions."""

    @property
    def grace(self) -> float:
        """Seconds without a link after which a resumable session ends."""
        ...

    @property
    def survives(self) -> bool:
        """True if a later process of this gateway can recover the sessions."""
        ...

    async def ready(self) -> bool:
        """Returns whether a session that is opened now would be resumable; within `Limits.start` seconds."""
        ...

    def keep(
        self, target: Target, command: Command, name: str, note: Mapping[str, Any], owner: ResumeListener
    ) -> AbstractAsyncContextManager[ResumableChannel]:
        """Runs a command with a terminal, as `Backend.exec` does, on a resumable channel. `name` must be new. Leaving
        ends the command as soon as a link is up.
        """
        ...

    def recover(
        self, found: RecoveredSession, target: Target, command: Command, owner: ResumeListener
    ) -> AbstractAsyncContextManager[ResumableChannel]:
        """Recovers a session that `found` has yielded: enters with its channel, whose output begins at `found.start`."""
        ...

    def found(self) -> AsyncIterator[list[RecoveredSession]]:
        """Yields, each time that a link has come up, the sessions at the far side that this process does not hold, or
        an empty list. The caller must recover or discard each.
        """
        ...

    def discard(self, name: str) -> None:
        """Ends the session `name` that `found` has yielded, in place of recovering it."""
        ...
