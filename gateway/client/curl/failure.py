"""Names how a request failed that reached no hop's fault: with curl's own exit codes (curl's manual, EXIT CODES)."""

from typing import Final

from gateway.errors import DapError
from gateway.protocol.outcome import Hop

UNSUPPORTED: Final = 1  # another protocol than http and https, or an answer that is no HTTP/1
URL: Final = 3
NAME: Final = 6
CONNECT: Final = 7
PARTIAL: Final = 18
HTTP_ERROR: Final = 22  # with -f: 400 or more
WRITE: Final = 23
READ: Final = 26
TIMEOUT: Final = 28
TLS: Final = 35
REDIRECTS: Final = 47
EMPTY: Final = 52
SEND: Final = 55
RECEIVE: Final = 56
CERTIFICATE: Final = 60
SEND_AGAIN: Final = 65
CA_FILE: Final = 77


class CurlFailed(DapError):  # noqa: N818  # said of a request, as HopFailed is of a hop
    """Raised when a request failed behind the last hop. `exit_status`: the exit code that curl has for the same."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__("request_failed", message)
        self.exit_status = status

    @property
    def hop(self) -> Hop:
        """Returns the pod: what answers stands behind all hops."""
        return Hop.POD
