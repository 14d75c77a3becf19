"""The proof that a TCP listener is this gateway, for clients that would otherwise send their token to whoever owns the
port.
"""

from aiohttp import web

from gateway.protocol.loopback import is_loopback
from gateway.protocol.proof import NONCE, PATH
from gateway.server.app_keys import ACCESS
from gateway.server.refusals import Refusal

routes = web.RouteTableDef()


@routes.get(PATH)
async def proof(request: web.Request) -> web.Response:
    """Answers with the proof for the client's nonce and the port that the client has connected to. For clients on this
    machine alone, and without TLS: whoever asks through a proxy, or with TLS, has the certificate.
    """
    nonce, port = request.query.get("nonce", ""), _port(request)
    if not NONCE.fullmatch(nonce):
        raise Refusal(400, "nonce must be 32 digits of lower-case hexadecimal")
    if port is None:
        raise Refusal(403, "only a client that connects to a loopback address without TLS gets a proof")
    return web.Response(text=request.app[ACCESS].tokens.proof(nonce, port) + "\n")


def _port(request: web.Request) -> int | None:
    """Returns the port of the listener; None where the client has not asked a loopback address over TCP, or has
    done so with TLS.
    """
    if request.transport is None or not is_loopback((request.url.host or "").strip("[]")):
        return None
    if request.transport.get_extra_info("sslcontext"):
        return None
    name = request.transport.get_extra_info("sockname")
    return int(name[1]) if isinstance(name, tuple) else None
