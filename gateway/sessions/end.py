"""Carries a session's outcome out of its tasks, and turns an error into an outcome."""

from gateway.errors import DapError, first
from gateway.protocol.outcome import Outcome, journal_full


class End(Exception):  # noqa: N818  # carries an outcome out of a TaskGroup
    """Ends the session with this outcome: raised in one of the session's tasks, it stops the others."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def outcome_of(error: BaseException, disk: str, limit: str) -> Outcome:
    """Returns the outcome of an error, or of the first error in a group: its own for End and DapError. Any other error
    counts as a full journal: `spool_failed` where `disk` says why the disk takes no output, else `slow_client`;
    `limit` says which limit of the spools was reached, if any.
    """
    if isinstance(error, BaseExceptionGroup):
        error = first(error)
    if isinstance(error, End):
        return error.outcome
    if isinstance(error, DapError):
        return error.outcome()
    if disk:
        return Outcome("spool_failed", f"output waited, and the gateway's disk says: {disk}")
    return journal_full(limit)
