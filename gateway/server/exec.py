"""The exec and attach endpoints: from a request to a session with an attachment."""

import socket
from contextlib import suppress

from aiohttp import WSCloseCode, hdrs, web

from gateway.errors import Refused
from gateway.protocol import query
from gateway.protocol.codec import MAX_MESSAGE, encode
from gateway.protocol.errors import BadRequest
from gateway.protocol.messages import Control, Ended
from gateway.protocol.outcome import CODES, Outcome
from gateway.protocol.status import failure
from gateway.protocol.subprotocols import Subprotocol, negotiate
from gateway.protocol.target import Command, Target, Verb
from gateway.server.attachment import Attachment
from gateway.server.auth import BEARER, offered_protocols
from gateway.server.keys import GATEWAY, IDENTITY
from gateway.server.status import Refusal

routes = web.RouteTableDef()
_POD = "/api/v1/namespaces/{namespace}/pods/{pod}"


@routes.get(_POD + "/{verb:exec|attach}")
@routes.post(_POD + "/{verb:exec|attach}")
@routes.get("/clusters/{cluster}" + _POD + "/{verb:exec|attach}")
@routes.post("/clusters/{cluster}" + _POD + "/{verb:exec|attach}")
@routes.get("/gateway/v1/clusters/{cluster}/{verb:run}")
async def serve_command(request: web.Request) -> web.StreamResponse:
    """One command through the WebSocket that this request becomes, or a Status that says why not."""
    gateway = request.app[GATEWAY]
    row = _row(request)
    try:
        target, command = _parse(request, row)
        gateway.admit(request[IDENTITY], target, command)
    except (BadRequest, Refused) as error:
        outcome = error.outcome() if isinstance(error, Refused) else Outcome("bad_request", str(error))
        gateway.metrics.refused(outcome.code)
        return await _refuse(request, row, outcome)
    websocket = await _upgrade(request, row, gateway.config.limits.close)
    session = gateway.open(request[IDENTITY], target, command)
    gone: Outcome | None = Outcome("client_lost")
    try:
        gone = await Attachment(websocket, row, session, gateway.config.limits, gateway.metrics).run()
    finally:
        if gone is not None:  # the one place that decides what a session does without its client: it ends
            session.end(gone)
    if gone is not None and (transport := websocket.get_extra_info("transport")):
        transport.abort()
    return websocket


def _row(request: web.Request) -> Subprotocol:
    """Raises Refusal where there is nothing to upgrade to."""
    if request.method == "POST":
        raise Refusal(
            400, "this gateway serves exec through WebSocket only (kubectl 1.31 or newer), not through SPDY"
        )
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise Refusal(400, "Upgrade request required")
    row = negotiate(name for name in offered_protocols(request) if not name.startswith(BEARER))
    if row is None:
        raise Refusal(403, "no subprotocol in common: use v5.channel.k8s.io")
    return row


def _parse(request: web.Request, row: Subprotocol) -> tuple[Target, Command]:
    where = request.match_info
    verb: Verb = where["verb"]  # type: ignore[assignment]  # the route's pattern allows only these
    fields = query.parse_query(request.rel_url.raw_query_string)
    cluster = where.get("cluster", "default")
    if verb == "run":
        if not row.control:
            raise BadRequest("a command in the runner is served on v1.dap-gateway only")
        return Target(cluster), query.command(verb, fields, row)
    target = Target.parse(cluster, where["namespace"], where["pod"], query.container(fields))
    return target, query.command(verb, fields, row)


async def _refuse(request: web.Request, row: Subprotocol, outcome: Outcome) -> web.StreamResponse:
    """Before the upgrade, or, since a browser cannot read a refused handshake, in band for our own clients."""
    if not row.control:
        raise Refusal(CODES[outcome.code].http, outcome.message)
    websocket = await _upgrade(request, row, request.app[GATEWAY].config.limits.close)
    status = failure(CODES[outcome.code].http, outcome.message)
    for message in (Control(outcome.as_control("refused")), Ended(status)):
        payload = encode(message, row)
        assert isinstance(payload, bytes)
        await websocket.send_bytes(payload)
    await websocket.close(code=WSCloseCode.OK)
    return websocket


async def _upgrade(request: web.Request, row: Subprotocol, close_timeout: float) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse(
        protocols=(row.name,) if row.name else (),
        timeout=close_timeout,
        autoping=False,
        compress=False,
        max_msg_size=MAX_MESSAGE + 2,
        writer_limit=64 * 1024,
    )
    await websocket.prepare(_offering(request, row))
    _user_timeout(request, 45_000)
    return websocket


def _offering(request: web.Request, row: Subprotocol) -> web.Request:
    """The request as if it offered the chosen name alone: aiohttp looks at one header line and logs what it does not
    find there, a token among them.
    """
    headers = request.headers.copy()
    headers.popall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
    if row.name:
        headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = row.name
    return request.clone(headers=headers)


def _user_timeout(request: web.Request, milliseconds: int) -> None:
    """A peer that acknowledges nothing for so long is gone, also while it owes us no pong (RFC 5482)."""
    sock = request.transport.get_extra_info("socket") if request.transport else None
    if sock is not None and sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
