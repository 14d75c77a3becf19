"""The exec and attach endpoints: from a request to a session with an attachment."""

from dataclasses import replace

import structlog
from aiohttp import WSCloseCode, hdrs, web

from gateway.access.bearer import BEARER, offered_protocols
from gateway.access.policy import needs_container
from gateway.errors import HopFailed, Refused
from gateway.protocol import query
from gateway.protocol.codec import encode
from gateway.protocol.errors import BadRequest
from gateway.protocol.messages import Control, Ended
from gateway.protocol.outcome import CODES, Outcome, located
from gateway.protocol.status import failure
from gateway.protocol.subprotocols import Subprotocol, negotiate
from gateway.protocol.target import Command, Target, Verb
from gateway.server import lookup
from gateway.server.app_keys import (
    BACKENDS,
    IDENTITY,
    IMPERSONATION,
    LIMITS,
    METRICS,
    NAMESPACES,
    PEER,
    REGISTRY,
    UPGRADES,
)
from gateway.server.audit import AUDIT
from gateway.server.lookup import ResolvedPod
from gateway.server.refusals import Refusal
from gateway.server.routes.argv import fields_of
from gateway.server.routes.clusters import cluster_api, known_pods, requested_cluster
from gateway.server.routes.kube_api import relay
from gateway.server.websocket.attachment import Attachment, follow
from gateway.server.websocket.delivery import AtOnce
from gateway.server.websocket.opening import telling
from gateway.server.websocket.socket import Socket, handshake, upgrade
from gateway.sessions.quota import Slot
from gateway.sessions.session import Session

log = structlog.get_logger()
routes = web.RouteTableDef()
LEAVE = 10.0  # seconds for a client that was refused to close
_POD = "/api/v1/namespaces/{namespace}/pods/{pod}"


@routes.get(_POD + "/{verb:exec|attach}")
@routes.post(_POD + "/{verb:exec|attach}")
@routes.get("/clusters/{cluster}" + _POD + "/{verb:exec|attach}")
@routes.post("/clusters/{cluster}" + _POD + "/{verb:exec|attach}")
@routes.get("/gateway/v1/clusters/{cluster}/pods/{pod}/{verb:exec|attach}")
@routes.get("/gateway/v1/clusters/{cluster}/{verb:run}")
async def serve_command(request: web.Request) -> web.StreamResponse:
    """Runs one command through the WebSocket that this request becomes, or answers with the Status that says why not.
    Our own clients are upgraded before that is known, and told in band: a hop that hangs may take longer than a
    handshake.
    """
    if request.method == "POST" and _passes(request):
        return await relay(request)
    row = row_of(request)
    limits = request.app[LIMITS]
    websocket = handshake(request, row, limits.close)
    with request.app[UPGRADES].waiting(request[IDENTITY]):
        if row.control:
            await upgrade(websocket, request, row)
        try:
            fields = await fields_of(request, websocket, row)
            async with telling(websocket, row, request.app[BACKENDS].get(requested_cluster(request))):
                session = await _begin(request, row, fields)
        except Exception as error:  # noqa: BLE001  # the guard of who has been let in
            outcome = refusal(error, row)
            record_refusal(request, outcome)
            return await _refuse(websocket, row, outcome)
    if session.resumption:
        await follow(websocket, session, session.resumption, limits, request.app[METRICS], 0)
        return websocket
    gone: Outcome | None = Outcome("client_lost")
    try:
        if not row.control:
            await upgrade(websocket, request, row)
        delivery = AtOnce(session, quiets=row.control and session.command.drops_floods)
        attachment = Attachment(websocket, row, session, delivery, limits, request.app[METRICS])
        gone = await attachment.until_gone()
    finally:
        if gone is not None:  # the one place that decides what a session does without its client: it ends
            session.end(gone)
        request.app[REGISTRY].release(session)
    if gone is not None:
        await attachment.leave(gone)
    return websocket


def _passes(request: web.Request) -> bool:
    """Returns True for a request for SPDY, as kubectl before 1.30 and the retry of a later one sends, to a cluster whose
    API is passed on.
    """
    backend = request.app[BACKENDS].get(requested_cluster(request))
    return "SPDY" in request.headers.get(hdrs.UPGRADE, "").upper() and bool(backend and backend.kube.watches)


async def _begin(request: web.Request, row: Subprotocol, fields: list[tuple[str, str]]) -> Session:
    """Admits and starts the request's command, and returns its session once the cluster has not refused the pod or the
    container, as far as that is known at once. Raises BadRequest, Refused or HopFailed; then the command is ended.
    """
    registry, identity = request.app[REGISTRY], request[IDENTITY]
    asked, command = _parse(request, row, fields)
    command = replace(command, actor=request.app[IMPERSONATION].actor(identity, asked.cluster))
    found = await _find(request, row, asked, command)
    asked = replace(asked, namespace=found.target.namespace, container=found.target.container)
    slot = registry.admit(identity, found.target, command, asked)
    session = await _open(request, row, found.target, command, slot)
    session.note = found.note
    try:
        if asked.pod:
            api, known = cluster_api(request, asked.cluster), known_pods(request, asked.cluster)
            await lookup.verify(api, session, row, known, seen=found.seen)
    except BaseException as error:
        session.end(error.outcome() if isinstance(error, Refused) else Outcome("client_lost"))
        registry.release(session)
        if isinstance(error, Refused):
            raise _located(error, asked) from None
        raise
    return session


async def _find(request: web.Request, row: Subprotocol, target: Target, command: Command) -> ResolvedPod:
    """Returns the pod and, as far as `lookup.resolve` finds it, the container that will be entered. Asks the policy before
    anything is read: about the command or, where the policy needs a container that is not named, about the read.
    """
    registry, identity = request.app[REGISTRY], request[IDENTITY]
    exact = bool(target.pod) and needs_container(identity)
    verb = "get" if exact and not target.container else command.verb
    registry.permit(identity, verb, target, command)
    slot = registry.quota.reserve(identity, target)  # freed below: the session's own is the found pod's
    try:
        if target.pod and not target.namespace:
            target = replace(target, namespace=await request.app[NAMESPACES].get(target.cluster))
            registry.permit(identity, verb, target, command)
        if not target.pod:
            return ResolvedPod(target)
        return await _resolve(request, target, row, exact=exact)
    finally:
        slot.free()


async def _resolve(request: web.Request, target: Target, row: Subprotocol, *, exact: bool) -> ResolvedPod:
    api, known = cluster_api(request, target.cluster), known_pods(request, target.cluster)
    try:
        return await lookup.resolve(api, target, row, exact=exact, known=known)
    except Refused as error:
        raise _located(error, target) from None


def _located(error: Refused, target: Target) -> Refused:
    """Returns the error with the pod's namespace in its message."""
    outcome = located(error.outcome(), target)
    return Refused(outcome.code, outcome.message, outcome.status)


async def _open(
    request: web.Request, row: Subprotocol, target: Target, command: Command, slot: Slot
) -> Session:
    """Opens and returns the session: a resumable one where the client asked for that and the backend can. Frees the slot
    where that fails.
    """
    identity = request[IDENTITY]
    wanted = row.control and query.resumable(request.rel_url.raw_query_string)
    try:
        keeper = await request.app[REGISTRY].keeper(target, command) if wanted else None
    except BaseException:
        slot.free()
        raise
    return request.app[REGISTRY].open(identity, target, command, slot, keeper)


def row_of(request: web.Request) -> Subprotocol:
    """Returns the subprotocol that the client and the gateway have in common. Raises Refusal for a request that is no
    WebSocket handshake, or offers none.
    """
    if request.method == "POST":
        raise Refusal(
            400, "this gateway serves exec through WebSocket only (kubectl 1.31 or newer), not through SPDY"
        )
    if request.method != "GET":
        raise Refusal(400, "a WebSocket is opened with GET")
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise Refusal(400, "Upgrade request required")
    row = negotiate(name for name in offered_protocols(request[PEER]) if not name.startswith(BEARER))
    if row is None:
        raise Refusal(403, "no subprotocol in common: use v5.channel.k8s.io")
    return row


def _parse(request: web.Request, row: Subprotocol, fields: list[tuple[str, str]]) -> tuple[Target, Command]:
    where = request.match_info
    verb: Verb = where["verb"]  # type: ignore[assignment]  # the route's pattern allows only these
    cluster = requested_cluster(request)
    if verb == "run":
        if not row.control:
            raise BadRequest("a command in the runner is served on v1.dap-gateway only")
        return Target(cluster), query.command(verb, fields, row)
    if "namespace" not in where and not row.control:
        raise BadRequest("name the pod's namespace: a pod without one is served on v1.dap-gateway only")
    target = Target.parse(cluster, where.get("namespace"), where["pod"], query.container(fields))
    return target, query.command(verb, fields, row)


def refusal(error: Exception, row: Subprotocol) -> Outcome:
    """Returns the outcome that tells a client of the error. Raises the error itself, a defect, where the guard can still
    answer over HTTP.
    """
    match error:
        case Refused() | HopFailed():
            return error.outcome()
        case BadRequest():
            return Outcome("bad_request", str(error))
    if not row.control:
        raise error
    log.error("request_defect", exc_info=error)
    return Outcome("gateway_error")


async def _refuse(websocket: Socket, row: Subprotocol, outcome: Outcome) -> web.StreamResponse:
    """Raises a Refusal before the upgrade; our own clients are refused in band, since a browser cannot read a refused
    handshake.
    """
    status = outcome.status or failure(CODES[outcome.code].http, outcome.message)
    if not row.control:
        raise Refusal(status.code, outcome.message, status)
    await refuse_in_band(websocket, row, outcome)
    return websocket


def record_refusal(request: web.Request, outcome: Outcome) -> None:
    """Counts and logs the refusal of a session."""
    request.app[AUDIT].refused(request, outcome.code, outcome.message)


async def refuse_in_band(websocket: Socket, row: Subprotocol, outcome: Outcome) -> None:
    """Sends the refusal to a client of our own, with its Status, and closes the WebSocket."""
    status = outcome.status or failure(CODES[outcome.code].http, outcome.message)
    for message in (Control(outcome.as_control("refused")), Ended(status)):
        payload = encode(message, row)
        assert isinstance(payload, bytes)
        await websocket.send_bytes(payload)
    await websocket.hang_up(WSCloseCode.OK, "", LEAVE)
