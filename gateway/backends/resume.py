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
    """A session of an earlier life of this gateway. `note` is what its channel was told last; `seen`, `start`, `end`
    are offsets of its output: what was acknowledged, what is kept; `received` counts the bytes of its input.
    """

    name: str
    note: Mapping[str, Any]
    seen: int
    start: int
    end: int
    received: int


class ResumeListener(Protocol):
    """What a channel that is kept tells its session, from the session's own task or the link's. None of it waits."""

    def on_input_acknowledged(self, offset: int) -> None:
        """Input before `offset` is at the far side; it may be forgotten here."""
        ...

    def on_output_gap(self, offset: int) -> None:
        """Output goes on at `offset`; what stood before it and has not come is not to be had."""
        ...

    def on_hop_status(self, why: Outcome | None, seconds: float) -> None:
        """A hop is lost; it is waited for so long. None: it is back."""
        ...


class ResumableChannel(Channel, Protocol):
    """A lost hop does not end it: `output` waits for the next link and goes on at the byte where it was; input that had
    not arrived is sent again. It ends with that hop's failure when the grace time is over.
    """

    def seen(self, offset: int) -> None:
        """Output before `offset` is not needed again by anybody."""
        ...

    def skip(self) -> None:
        """Of the output that waits at the far side only the newest is wanted; a gap is told where there was more."""
        ...

    def note(self, note: Mapping[str, Any]) -> None:
        """Replaces the note: at most 8 KiB of JSON."""
        ...

    def hand_over(self) -> None:
        """Leaving its context does not end the command from now on: a later life of this gateway finds it."""
        ...


class Resume(Protocol):
    """How a backend keeps sessions."""

    @property
    def grace(self) -> float:
        """Seconds without a link after which a kept session ends."""
        ...

    @property
    def survives(self) -> bool:
        """A later process of this gateway will find what it keeps."""
        ...

    async def ready(self) -> bool:
        """Returns whether a session that is opened now would be kept. Within `Limits.start` seconds."""
        ...

    def keep(
        self, target: Target, command: Command, name: str, note: Mapping[str, Any], owner: ResumeListener
    ) -> AbstractAsyncContextManager[ResumableChannel]:
        """As `exec`, for a terminal. `name` is new. Leaving ends the command as soon as there is a link for saying it."""
        ...

    def recover(
        self, found: RecoveredSession, target: Target, command: Command, owner: ResumeListener
    ) -> AbstractAsyncContextManager[ResumableChannel]:
        """The channel of one that was found; its output begins at `found.start`."""
        ...

    def found(self) -> AsyncIterator[list[RecoveredSession]]:
        """Those that nobody here has, each time that a link has come up; an empty list says that there are none. Each
        has to be recovered or discarded.
        """
        ...

    def discard(self, name: str) -> None:
        """Nobody wants this one that was found: it is ended."""
        ...
