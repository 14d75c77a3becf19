"""Refusals over HTTP, as Kubernetes says them."""

from aiohttp import web

from gateway.protocol.outcome import Outcome
from gateway.protocol.status import Status, failure


class Refusal(Exception):  # noqa: N818  # an answer, not a defect
    """Raised anywhere below the edge's guard, which turns it into a Status object: the cluster's own, where it is one."""

    def __init__(self, code: int, message: str, status: Status | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or failure(code, message)

    @classmethod
    def of(cls, outcome: Outcome) -> "Refusal":
        """Returns the Refusal that tells a Kubernetes client of the outcome."""
        status = outcome.as_status()
        return cls(status.code, status.message, status)

    def response(self) -> web.Response:
        """Returns the refusal as an HTTP answer."""
        body = self.status.json(http=True)
        headers = {"WWW-Authenticate": "Bearer"} if self.code == 401 else {}
        return web.Response(status=self.code, body=body, content_type="application/json", headers=headers)
