"""The errors of the gateway, by whose fault they are. Each has a stable code: a row of protocol.outcome.CODES.

DapError            code, message for a person
├── Refused         the request: bad name, unknown cluster, not allowed; nothing was opened
├── HopFailed       a hop refused or was lost; the code says which
└── ConfigError     a setting or file cannot be used; said on one line, exit 2
"""

from typing import TypeVar

from gateway.masking import mask
from gateway.protocol.outcome import CODES, Hop, Outcome
from gateway.protocol.status import Status

_E = TypeVar("_E", bound=BaseException)


class DapError(Exception):
    """`status`: the cluster's own Status, where it gave one. Credentials in the message are masked."""

    def __init__(self, code: str, message: str, status: Status | None = None) -> None:
        self.code = code
        self.message = mask(message)
        super().__init__(self.message)
        self.status = status

    @property
    def hop(self) -> Hop:
        """Which hop it was."""
        return CODES[self.code].hop

    def outcome(self) -> Outcome:
        """The same as the end of a session."""
        return Outcome(self.code, self.message, status=self.status)


class Refused(DapError):  # noqa: N818  # said of a request, not of a program
    """The request cannot be served as it is."""


class HopFailed(DapError):  # noqa: N818
    """A hop on the way refused, failed or was lost."""


class ConfigError(Exception):
    """A setting or a file that cannot be used; the message names it and says what to do, with credentials masked."""

    def __init__(self, message: str) -> None:
        super().__init__(mask(message))


def why(error: BaseException) -> str:
    """Says an exception in a few words, never none, without the credentials that a library may have put there."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return mask(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def first(errors: BaseExceptionGroup[_E]) -> _E:
    """Returns the exception that a TaskGroup failed of first, without the groups around it."""
    found = errors.exceptions[0]
    return first(found) if isinstance(found, BaseExceptionGroup) else found
