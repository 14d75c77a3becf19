"""Refusals over HTTP, as Kubernetes says them."""

from collections.abc import Mapping
from html import escape
from http.client import responses
from typing import Final

from aiohttp import hdrs, web

from gateway.log import printable
from gateway.protocol.outcome import Outcome
from gateway.protocol.status import Status, failure

_SHOWN = 200  # characters of a name
_ADVICE: Final = {
    401: "This address needs a credential that a browser does not have. A link of your own opens the terminal: run "
    "<code>dap open</code> on the machine of the gateway.",
    403: "Whoever runs the gateway can allow it.",
    404: 'The terminal is at <a href="/">/</a>.',
}


class Refusal(Exception):  # noqa: N818  # an answer, not a defect
    """Raised anywhere below the edge's guard, which turns it into a Status object: the cluster's own, where it is one.
    `headers`: more of the answer's.
    """

    def __init__(
        self, code: int, message: str, status: Status | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}
        self.status = status or failure(code, message)

    @classmethod
    def of(cls, outcome: Outcome) -> "Refusal":
        """Returns the Refusal that tells a Kubernetes client of the outcome."""
        status = outcome.as_status()
        return cls(status.code, status.message, status)

    def response(self, request: web.Request) -> web.Response:
        """Returns the refusal as an HTTP answer: a Status object, and for a browser that shows it a page with words."""
        headers = {**self.headers} | ({"WWW-Authenticate": "Bearer"} if self.code == 401 else {})
        if _shows_pages(request):
            headers |= {"Content-Security-Policy": "default-src 'none'", "Vary": "Accept"}
            text = _page(self.code, str(self), request.headers.get(hdrs.HOST, ""))
            return web.Response(status=self.code, text=text, content_type="text/html", headers=headers)
        body = self.status.json(http=True)
        return web.Response(status=self.code, body=body, content_type="application/json", headers=headers)


def _shows_pages(request: web.Request) -> bool:
    """Returns True if a browser asks for a page of its own: clients of Kubernetes never ask for HTML."""
    plain = request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and hdrs.UPGRADE not in request.headers
    return plain and "text/html" in request.headers.get(hdrs.ACCEPT, "").lower()


def _page(code: int, message: str, host: str) -> str:
    reason = responses.get(code, "Refused")
    advice = _ADVICE.get(code, "")
    shown = f"<p>You asked for <code>{escape(printable(host[:_SHOWN]))}</code>.</p>" if code == 403 else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>dap: {reason}</title>'
        f"<h1>{reason}</h1><p>{escape(message)}</p>{shown}<p>{advice}</p></html>\n"
    )
