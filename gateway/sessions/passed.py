"""Sessions that pass as bytes between a client and the cluster: SPDY exec and attach, forwarded ports, and what else
upgrades. They are counted, listed, ended and logged like those that the gateway runs itself.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from gateway.access.identity import Identity
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command, Target
from gateway.sessions.events import command_fields
from gateway.sessions.lifetime import Times
from gateway.sessions.recording import Recording, StreamRecord


@dataclass(eq=False)
class PassedSession:
    """Holds one connection that passes as bytes. `kind`: what it is, as in "exec (SPDY)" or "port-forward"; `verb`: as the
    policy was asked; `command`: of exec and attach; `cancel`: ends the connection soon; `outcome`: how it ended, if it has.
    """

    identity: Identity
    target: Target
    verb: str
    kind: str
    cancel: Callable[[Outcome], None]
    command: Command | None = None
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    times: Times = field(default_factory=Times)
    bytes_in: int = 0
    bytes_out: int = 0
    outcome: Outcome | None = None
    record: StreamRecord | None = None
    over: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __post_init__(self) -> None:
        self._moved = self.times.elapsed()

    @property
    def credential(self) -> str:
        """Returns the public name of the credential that opened the session."""
        return self.identity.credential

    def received(self, data: bytes) -> None:
        """Counts bytes from the client, and records them."""
        self.bytes_in += len(data)
        self._moved = self.times.elapsed()
        if self.record:
            self.record.from_client(data)

    def sent(self, data: bytes) -> None:
        """Counts bytes to the client, and records them."""
        self.bytes_out += len(data)
        self.times.mark("first_byte")
        self._moved = self.times.elapsed()
        if self.record:
            self.record.from_cluster(data)

    def idle(self) -> float:
        """Returns the seconds since bytes passed."""
        return self.times.elapsed() - self._moved

    def finish(self, outcome: Outcome) -> None:
        """Records how the session ended; the first outcome stays."""
        self.outcome = self.outcome or outcome

    def end(self, outcome: Outcome) -> None:
        """Ends the session soon, with this outcome."""
        self.finish(outcome)
        self.cancel(outcome)


class PassedSessions:
    """Knows the sessions that pass as bytes now: `live`. Calls `on_closed` once for each that has ended. `log_argv`: the log
    has their commands; `recording`: what is recorded of them.
    """

    def __init__(
        self, on_closed: Callable[[Outcome, PassedSession], None], *, log_argv: bool = False
    ) -> None:
        self.live: set[PassedSession] = set()
        self.recording = Recording()
        self._on_closed = on_closed
        self._log_argv = log_argv

    @contextmanager
    def running(self, session: PassedSession) -> Iterator[None]:
        """Lists, counts and logs the session for as long as the block runs."""
        log = structlog.get_logger().bind(
            session=session.name, identity=session.identity.name, target=str(session.target)
        )
        command = command_fields(session.command, argv=self._log_argv) if session.command else {}
        log.info(
            "session_opened", proof=session.identity.proof, verb=session.verb, kind=session.kind, **command
        )
        self.live.add(session)
        session.record = self.recording.stream(session) if session.command else None
        session.times.mark("started")
        try:
            yield
        except asyncio.CancelledError:
            session.finish(Outcome("shutdown"))  # who else ends a session says so before
            raise
        finally:
            self.live.discard(session)
            session.times.mark("ended")
            if session.record:
                session.record.close()
            self._closed(session, log)
            session.over.set_result(None)

    def _closed(self, session: PassedSession, log: structlog.typing.FilteringBoundLogger) -> None:
        outcome = session.outcome or Outcome("gateway_error")
        self._on_closed(outcome, session)
        log.info(
            "session_closed",
            kind=session.kind,
            outcome=outcome.code,
            hop=str(outcome.hop),
            message=outcome.message,
            exit_code=None,
            bytes_in=session.bytes_in,
            bytes_out=session.bytes_out,
            seconds=round(session.times.ended or 0.0, 3),
        )
