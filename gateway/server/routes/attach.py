"""The attach endpoint of our own: a client comes back to its session, or takes it over."""

import asyncio
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web

from gateway.access.identity import Identity
from gateway.access.policy import allowed
from gateway.errors import Refused
from gateway.protocol.codec import ClientDecoder
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import Control
from gateway.protocol.subprotocols import OWN
from gateway.server.app_keys import IDENTITY, LIMITS, METRICS, REGISTRY, UPGRADES
from gateway.server.audit import write
from gateway.server.refusals import Refusal
from gateway.server.routes.exec import LEAVE, record_refusal, refusal, refuse_in_band, row_of
from gateway.server.websocket.attachment import follow
from gateway.server.websocket.socket import Socket, handshake, upgrade
from gateway.sessions.resumption import Resumption
from gateway.sessions.session import Session

routes = web.RouteTableDef()
FIRST = 10.0  # seconds for the message that says which secret and which offset


class Wish(NamedTuple):
    """Holds what the client's first message asks for."""

    secret: str | None
    offset: int | None


@routes.get("/gateway/v1/sessions/{name}/attach")
async def serve_attach(request: web.Request) -> web.StreamResponse:
    """Makes the WebSocket the session's client, or refuses it in band."""
    if row_of(request) is not OWN:
        raise Refusal(403, "sessions are attached to on v1.dap-gateway only")
    websocket = handshake(request, OWN, request.app[LIMITS].close)
    with request.app[UPGRADES].waiting(request[IDENTITY]):
        await upgrade(websocket, request, OWN)
        admitted = await _admitted(request, websocket)
    if admitted:
        await _follow(request, websocket, *admitted)
    return websocket


async def _admitted(
    request: web.Request, websocket: Socket
) -> tuple[Session, Resumption, int, str | None] | None:
    """Returns the session, the offset where the client goes on, and the secret that it used; None where it was refused."""
    try:
        wish = await _wish(websocket)
        session, resumption = await request.app[REGISTRY].find(
            request.match_info["name"], request.query.get("cluster", "")
        )
        offset = _admit(session, resumption, request[IDENTITY], wish)
    except ProtocolError as error:
        await websocket.hang_up(error.close_code, str(error), LEAVE)
        return None
    except Exception as error:  # noqa: BLE001  # the guard of who has been let in
        outcome = refusal(error, OWN)
        record_refusal(request, outcome)
        await refuse_in_band(websocket, OWN, outcome)
        return None
    return session, resumption, offset, wish.secret


async def _follow(
    request: web.Request,
    websocket: Socket,
    session: Session,
    resumption: Resumption,
    offset: int,
    secret: str | None,
) -> None:
    """Makes the WebSocket the session's client until one of them goes."""
    said: dict[str, Any] = {"session": session.name, "offset": offset, "by_identity": secret is None}
    write("session_attached", request, **said)
    if (connected := resumption.holder is not None) or secret is None:
        write("session_taken_over", request, **said, target=str(session.target), connected=connected)
    session.credential = request[IDENTITY].credential
    limits, metrics = request.app[LIMITS], request.app[METRICS]
    await follow(websocket, session, resumption, limits, metrics, offset, secret)


def _admit(session: Session, resumption: Resumption, identity: Identity, wish: Wish) -> int:
    """Returns the offset where the client goes on. Raises Refused."""
    offset = resumption.admit(identity, wish.secret, wish.offset)
    if not allowed(identity, "attach", session.target, session.command, whose=session.identity):
        raise Refused("not_allowed", f"{identity.name} may not attach to {session.target}")
    return offset


async def _wish(websocket: Socket) -> Wish:
    """Raises Refused, ProtocolError."""
    try:
        async with asyncio.timeout(FIRST):
            message = await websocket.next_message()
    except TimeoutError:
        raise Refused("bad_request", f"no attach message came within {FIRST:g} s") from None
    said = ClientDecoder(OWN).decode(message.data) if message.type is WSMsgType.BINARY else []
    match said:
        case [
            Control({"type": "attach", "secret": str() | None as secret, "offset": int() | None as offset})
        ]:
            if not isinstance(offset, bool):
                return Wish(secret, offset)
    raise Refused("bad_request", "the first message is an attach with secret and offset")
