"""The page and its assets, from the wheel. A strict CSP with a fresh nonce for each page."""

import secrets
from importlib.resources import files
from mimetypes import guess_type

from aiohttp import web

from gateway.server.refusals import Refusal

routes = web.RouteTableDef()
_FILES = files("gateway.server").joinpath("page")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@routes.get("/")
async def page(_: web.Request) -> web.Response:
    """Answers with the browser terminal. The page needs no credential: all that it can do needs one."""
    try:
        html = _FILES.joinpath("index.html").read_text("utf-8")
    except OSError:
        raise Refusal(404, "the page is not built: run 'make web'") from None
    nonce = secrets.token_urlsafe(16)
    headers = _HEADERS | {"Content-Security-Policy": _CSP.format(nonce=nonce), "Cache-Control": "no-store"}
    return web.Response(text=html.replace("__NONCE__", nonce), content_type="text/html", headers=headers)


@routes.get("/assets/{name}")
async def asset(request: web.Request) -> web.Response:
    """Answers with a file whose name changes with its content."""
    name = request.match_info["name"]
    found = (
        next((one for one in _FILES.joinpath("assets").iterdir() if one.name == name), None)
        if _built()
        else None
    )
    if found is None:
        raise Refusal(404, "no such asset")
    kind = guess_type(name)[0] or "application/octet-stream"
    headers = _HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"}
    return web.Response(body=found.read_bytes(), content_type=kind, headers=headers)


def _built() -> bool:
    return _FILES.joinpath("assets").is_dir()
