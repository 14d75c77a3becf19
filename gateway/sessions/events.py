"""Writes the events of a session to the log. gateway/server/README.md has all of them, with those of the edge."""

from typing import Any

import structlog

from gateway.protocol.outcome import Outcome
from gateway.protocol.target import Command
from gateway.sessions.record import shown
from gateway.sessions.session import Session

_ARGV = 16 * 1024  # characters of a command; argv_sha256 is of all of it


def log_of(session: Session) -> structlog.typing.FilteringBoundLogger:
    """Returns a logger whose lines name the session, with whose it is and its target."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger().bind(
        session=session.name, identity=session.identity.name, target=str(session.target)
    )
    return bound


def opened(session: Session, *, argv: bool) -> None:
    """Logs that the session began, or goes on after a restart of the gateway. `argv`: with its command, as far as that
    is known here.
    """
    command = session.command
    recovered = session.resumption and session.resumption.found
    log_of(session).info(
        "session_recovered" if recovered else "session_opened",
        proof=session.identity.proof,
        verb=command.verb,
        **({"way": session.way} if session.way else {}),
        **command_fields(command, argv=argv),
    )


def command_fields(command: Command, *, argv: bool) -> dict[str, Any]:
    """Returns what the log has of a command. `argv`: the command itself, too."""
    said = {"argv": shown(command.argv, _ARGV)} if argv else {}
    return {"argv_sha256": command.argv_sha256, "tty": command.tty, **said}


def closed(session: Session, outcome: Outcome, seconds: float) -> None:
    """Logs that the session ended, and a spool that could not be written, or was full."""
    log = log_of(session)
    if why := session.output.problem or session.output.limit:
        log.warning("spool_failed" if session.output.problem else "spool_limited", reason=why)
    log.info(
        "session_closed",
        outcome=outcome.code,
        hop=str(outcome.hop),
        message=outcome.message,
        exit_code=outcome.exit_code,
        way=session.way or None,
        bytes_in=session.bytes_in,
        bytes_out=session.output.end,
        seconds=round(seconds, 3),
    )
