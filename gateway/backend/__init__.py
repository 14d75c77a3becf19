"""The contract: what a way to a cluster promises. Session and edge see only this."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Hop, Outcome
from gateway.protocol.target import Command, Target, TerminalSize


class Channel(Protocol):
    """The conduit to one running command (RFC 4254). All of it belongs to one session's tasks."""

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """What the command writes, in order, until both its streams have ended. Call once and never pause long:
        a paused reader makes kubectl lose output. Cancelling loses nothing that was yielded.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Gives the command input; waits while the way is full. After the command's end: no error, no effect.
        When cancelled, `data` has been taken all the same.
        """
        ...

    def write_eof(self) -> None:
        """The command reads end of file after what was written. Without effect in a terminal."""
        ...

    def resize(self, size: TerminalSize) -> None:
        """The terminal's size from now on; without effect where there is no terminal."""
        ...

    async def wait(self) -> Outcome:
        """How the command ended, after all its output was yielded. A hop that failed is an Outcome too."""
        ...


@dataclass(frozen=True)
class HopCheck:
    """One hop as it is now. `ms`: how long it took to answer; `outcome`: why it did not."""

    hop: Hop
    ms: float | None
    outcome: Outcome | None = None
    note: str = ""  # what else there is to know of it

    @property
    def ok(self) -> bool:
        """The hop answered."""
        return self.outcome is None


class Backend(Protocol):
    """A way to one cluster."""

    def exec(self, target: Target, command: Command) -> AbstractAsyncContextManager[Channel]:
        """Entering starts the command, or raises HopFailed with the hop that refused. Leaving ends whatever still
        runs on our side of the pod, unread output or not, within `Limits.finish` seconds, also when cancelled.
        """
        ...

    async def check(self) -> list[HopCheck]:
        """Every hop in order, up to the first that does not answer; within `Limits.check` seconds."""
        ...

    def connections(self) -> Mapping[str, int]:
        """What /metrics shows: open connections and channels."""
        ...


class ByteStream(Protocol):
    """A connection to an address that the cluster's runner reaches."""

    async def read(self) -> bytes:
        """What has come, at least one byte; empty at the end. Not reading holds the other side back. Raises HopFailed
        where it was lost. Cancelling is safe.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Waits while the way is full. After the end: no error, no effect."""
        ...

    def write_eof(self) -> None:
        """The other side reads end of file after what was written; what it says still comes."""
        ...


class Dials(Backend, Protocol):
    """A backend that reaches more than pods; where there is none, `kubectl get --raw` has to do."""

    def dial(self, address: str) -> AbstractAsyncContextManager[ByteStream]:
        """`tcp:HOST:PORT` or `unix:/PATH`, as the runner reaches it. Raises HopFailed. Leaving closes it."""
        ...
