"""What a session ends with, carried out of its tasks."""

from gateway.errors import DapError
from gateway.protocol.outcome import Outcome


class End(Exception):  # noqa: N818  # carries an outcome out of a TaskGroup
    """The session is to end with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def outcome_of(error: BaseException, disk: str) -> Outcome:
    """Returns the outcome of the first error in a group. `disk`: why the disk takes no output; without a reason the client
    was too slow for a full journal.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, End):
        return error.outcome
    if isinstance(error, DapError):
        return error.outcome()
    if disk:
        return Outcome("spool_failed", f"output waited, and the gateway's disk says: {disk}")
    return Outcome("slow_client")
