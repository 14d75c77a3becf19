"""Connections from a cluster's runner to an address that it reaches, for whoever may run commands there."""

from collections.abc import AsyncIterator

from aiohttp import hdrs, web

from gateway.backends.contract import Response
from gateway.errors import HopFailed, Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.outcome import Outcome
from gateway.protocol.runner_dial import PROTOCOL, address
from gateway.protocol.target import Target
from gateway.server.app_keys import BACKENDS, IDENTITY, REGISTRY, RELAYED
from gateway.server.audit import AUDIT
from gateway.server.refusals import Refusal
from gateway.server.relayed import Passing
from gateway.server.routes.clusters import requested_cluster
from gateway.server.upgraded import pass_bytes
from gateway.sessions.passed import PassedSession

routes = web.RouteTableDef()
_WITHOUT_RELAY = "this cluster is reached without a relay, so nothing is dialled from its runner, which needs python3: see dap doctor"


@routes.post("/gateway/v1/clusters/{cluster}/dial")
async def dial(request: web.Request) -> web.StreamResponse:
    """Connects to `host` and `port`, and passes bytes both ways after the answer 101, as a session that is counted, listed,
    limited and ended like others. Refuses before the 101 what cannot be reached: `address_unknown`, `address_unreachable`.
    """
    target = Target(requested_cluster(request))
    if request.headers.get(hdrs.UPGRADE, "").lower() != PROTOCOL:
        raise Refusal(426, f"ask for this with Upgrade: {PROTOCOL}", headers={hdrs.UPGRADE: PROTOCOL})
    try:
        where = address(request.query.get("host", ""), request.query.get("port", ""))
        request.app[REGISTRY].permit(request[IDENTITY], "run", target)
        async with request.app[RELAYED].passing(request) as passing:
            return await _dialled(request, target, where, passing)
    except BadRequest as error:
        outcome = Outcome("bad_request", str(error))
    except (Refused, HopFailed) as error:
        outcome = error.outcome()
    request.app[AUDIT].refused(request, outcome.code, outcome.message)
    raise Refusal.of(outcome)


async def _dialled(request: web.Request, target: Target, where: str, passing: Passing) -> web.StreamResponse:
    identity, connect = request[IDENTITY], request.app[BACKENDS][target.cluster].dial
    if connect is None:
        raise Refused("bad_request", _WITHOUT_RELAY)
    slot = request.app[REGISTRY].quota.reserve(identity, target)
    try:
        async with connect(where) as stream:
            session = PassedSession(identity, target, "run", f"dial {where}", passing.end)
            passing.on_end = session.finish
            answer = Response(101, (), _nothing(), stream)
            return await pass_bytes(request, answer, PROTOCOL, session, request.app[RELAYED].sessions)
    finally:
        slot.free()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
