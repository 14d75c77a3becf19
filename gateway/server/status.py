"""Refusals over HTTP, as Kubernetes says them."""

from aiohttp import web

from gateway.protocol.status import failure


class Refusal(Exception):  # noqa: N818  # an answer, not a defect
    """Raised anywhere below the edge's guard, which turns it into a Status object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def response(self) -> web.Response:
        """The HTTP answer."""
        body = failure(self.code, str(self)).json(http=True)
        headers = {"WWW-Authenticate": "Bearer"} if self.code == 401 else {}
        return web.Response(status=self.code, body=body, content_type="application/json", headers=headers)
