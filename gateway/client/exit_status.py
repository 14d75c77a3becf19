"""Describes how a session ended, as the client saw it, and the exit status that scripts get for it."""

from dataclasses import dataclass

from gateway.errors import DapError
from gateway.protocol.outcome import CODES, Hop
from gateway.protocol.status import Status

HOP_FAILED = 125
CANNOT_RUN = 126
NOT_FOUND = 127
USAGE = 2

# What only the client can find out: no gateway ever sends these, so they are no rows of CODES.
UNREACHABLE = "gateway_unreachable"
REFUSED = "gateway_refused"
LOST = "gateway_lost"


@dataclass(frozen=True)
class End:
    """Holds how a session ended. `exit_code` is the command's own, None unless the command ended by itself.
    `hop` may be a hop that this client does not know yet.
    """

    code: str
    hop: str
    message: str
    exit_code: int | None = None

    @property
    def exit_status(self) -> int:
        """Returns the command's own exit code, its low byte where it has more, and 1 where that byte would be 0; 2 for
        `bad_request`, 125 where another hop failed.

        A container that could not start the command gives 127 where the command or a shell was not found, else 126.
        """
        if self.exit_code is not None:
            return self.exit_code % 256 or int(self.exit_code != 0)
        if self.code == "bad_request":
            return USAGE
        if self.code not in ("start_failed", "no_shell"):
            return HOP_FAILED
        said = self.message.lower()
        if (
            self.code == "no_shell"
            or "not found" in said
            or "no such file" in said
            or "cannot find the file" in said
        ):
            return NOT_FOUND
        return CANNOT_RUN

    def __str__(self) -> str:
        return f"{self.hop}: {self.message} ({self.code})"


class GatewayFailed(DapError):  # noqa: N818  # said of a hop, as HopFailed is
    """Raised when the gateway itself could not be reached, refused us, or was lost, and when it says in an answer that a hop
    behind it failed: then `hop` is that one. Credentials in the message are masked.

    `passing`: the same may succeed in a moment, so a caller that holds a session retries.
    """

    def __init__(self, code: str, message: str, *, hop: Hop = Hop.GATEWAY, passing: bool = False) -> None:
        super().__init__(code, message)
        self.end = End(code, hop, self.message)
        self.passing = passing
        self._hop = hop

    @property
    def hop(self) -> Hop:
        """Returns the hop as it was given: some codes only a client knows."""
        return self._hop


class GivenUp(Exception):  # noqa: N818  # a decision, not a mistake
    """Raised when nobody waits for a hop to come back: the person gave up, or the terminal hung up."""

    def __init__(self, end: End) -> None:
        super().__init__(end.message)
        self.end = end


def from_control(body: dict[str, object]) -> End:
    """Returns the end that the server's `refused` or `end` describes. A gateway newer than this client may
    use words we do not know.
    """
    code, exit_code = str(body.get("code", "gateway_error")), body.get("exitCode")
    row = CODES.get(code)
    hop = body.get("hop") or (row.hop if row else Hop.GATEWAY)
    message = body.get("message") or (row.meaning if row else "no reason given")
    known = isinstance(exit_code, int) and not isinstance(exit_code, bool)
    return End(code, str(hop), str(message), exit_code if known else None)  # type: ignore[arg-type]  # checked above


def from_status(status: Status) -> End:
    """Returns the end that a Status describes, for a server that sent no `end` before its Status."""
    code = status.exit_code
    if code is not None:
        return End("exited", Hop.POD, f"the command ended with exit code {code}", code)
    return End("gateway_error", Hop.GATEWAY, status.message or status.reason or "no reason given")
