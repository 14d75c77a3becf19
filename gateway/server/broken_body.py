"""Mends how aiohttp 3.14 takes a body whose chunks are wrong: it notes that for its answer to the next request, and whoever
reads the body waits for the rest for as long as the client stays.
"""

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

_usual = RequestHandler.data_received


def end_broken_bodies() -> None:
    """Makes a read of a broken body raise RequestPayloadError, on all connections of the process."""
    RequestHandler.data_received = _data_received  # type: ignore[method-assign, assignment]  # tests/test_insides.py


def _data_received(protocol: web.RequestHandler, data: bytes) -> None:
    """Does what RequestHandler.data_received does, and ends each body that something has come behind before its end."""
    _usual(protocol, data)
    request = protocol._current_request  # noqa: SLF001
    bodies = [request.content] if request else []
    bodies += [body for _, body in protocol._messages]  # noqa: SLF001
    for body in bodies[:-1]:
        if not body.is_eof():
            body.set_exception(web.RequestPayloadError("the chunks of the body are wrong"))
