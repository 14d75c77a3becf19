"""The seam for a recording of what passes through the gateway unread: SPDY exec and attach, and debug containers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gateway.access.identity import Identity
from gateway.protocol.target import Target

if TYPE_CHECKING:
    from gateway.sessions.passed import PassedSession  # which holds a record


class StreamRecord(Protocol):
    """Takes the bytes of one connection, of each direction in order, before they go on. Must not block: an error ends the
    session.
    """

    def from_client(self, data: bytes) -> None:
        """Takes bytes for the cluster."""
        ...

    def from_cluster(self, data: bytes) -> None:
        """Takes bytes for the client."""
        ...

    def close(self) -> None:
        """Takes the end; the session has its outcome then."""
        ...


class Recording:
    """Decides what is recorded. Nothing is: a recording overrides these methods, and nothing is copied for what they
    answer None to.
    """

    def stream(self, session: "PassedSession") -> StreamRecord | None:
        """Returns what takes the bytes of an exec or attach that passes as bytes; None for nothing."""
        del session
        return None

    def debug_container(self, identity: Identity, target: Target) -> Callable[[bytes], None] | None:
        """Returns what takes the body of a patch or update of `ephemeralcontainers`, piece by piece and before it is complete at the
        API server; b"" at its end. None for nothing.
        """
        del identity, target
        return None
