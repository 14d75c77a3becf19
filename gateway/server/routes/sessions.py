"""The sessions that live: who has which, and how somebody else ends one."""

import asyncio
from typing import Any

from aiohttp import web

from gateway.access.identity import Identity
from gateway.access.policy import allowed
from gateway.log import printable
from gateway.protocol.errors import BadRequest
from gateway.protocol.outcome import CODES, Outcome
from gateway.protocol.query import parse_query
from gateway.server.app_keys import IDENTITY, LIMITS, REGISTRY, RELAYED
from gateway.server.audit import AUDIT, write
from gateway.server.refusals import Refusal
from gateway.sessions.passed import PassedSession
from gateway.sessions.record import shown
from gateway.sessions.session import Session

routes = web.RouteTableDef()
REASON = 200  # characters


@routes.get("/gateway/v1/sessions")
async def list_sessions(request: web.Request) -> web.Response:
    """One's own sessions, or, for who may, all of them; the oldest first."""
    found = [one for one in live_sessions(request.app) if _may(request[IDENTITY], "list", one)]
    found.sort(key=lambda session: session.times.began)
    return web.json_response({"sessions": [_row(session) for session in found]})


@routes.delete("/gateway/v1/sessions/{name}")
async def kill(request: web.Request) -> web.Response:
    """Ends a session and waits for its end; its client is told who did it and why (`?reason=`)."""
    identity = request[IDENTITY]
    reason = _reason(request)
    session = next(
        (one for one in live_sessions(request.app) if one.name == request.match_info["name"]), None
    )
    if session is None or not _may(identity, "list", session):
        raise Refusal(404, CODES["session_unknown"].meaning)
    if not _may(identity, "kill", session):
        message = f"{identity.name} may not end this session"
        request.app[AUDIT].refused(request, "not_allowed", message)
        raise Refusal(403, message)
    session.end(Outcome("killed", f"ended by {identity.name}" + (f": {reason}" if reason else "")))
    write("session_killed", request, session=session.name, reason=reason)
    await asyncio.wait({session.over}, timeout=request.app[LIMITS].finish + 1)
    return web.Response(status=204)


def live_sessions(app: web.Application) -> list[Session | PassedSession]:
    """Returns the sessions that have not ended, those that pass as bytes included: an end may wait for its client."""
    own = [session for session in app[REGISTRY].sessions if not session.over.done()]
    return [*own, *app[RELAYED].sessions.live]


def _may(identity: Identity, verb: str, session: Session | PassedSession) -> bool:
    return allowed(identity, verb, session.target, session.command, whose=session.identity)


def _reason(request: web.Request) -> str:
    try:
        fields = dict(parse_query(request.rel_url.raw_query_string))
    except BadRequest as error:
        raise Refusal(400, str(error)) from None
    given = fields.get("reason", "").strip()[: REASON + 1]  # escaping makes nothing shorter
    reason = printable(given)
    if len(reason) > REASON:
        raise Refusal(400, f"a reason has at most {REASON} characters")
    return reason


def _row(session: Session | PassedSession) -> dict[str, Any]:
    target, command = session.target, session.command
    names = {name: getattr(target, name) or None for name in ("cluster", "namespace", "pod", "container")}
    return {
        "name": session.name,
        "identity": session.identity.name,
        **names,
        "command": (shown(command.argv) or None) if command else None,
        "tty": bool(command and command.tty),
        "opened": round(session.times.opened, 3),
        "in": session.bytes_in,
        **(_of_bytes(session) if isinstance(session, PassedSession) else _of_own(session)),
    }


def _of_own(session: Session) -> dict[str, Any]:
    return {
        "kind": None,
        "way": session.way or None,
        "idle": round(session.lifetime.idle(), 1),
        "attached": session.attached,
        "resumable": session.resumption is not None,
        "out": session.output.end,
    }


def _of_bytes(session: PassedSession) -> dict[str, Any]:
    """Returns what a session that passes as bytes has of its own: it ends with its client."""
    return {
        "kind": session.kind,
        "way": None,
        "idle": round(session.idle(), 1),
        "attached": True,
        "resumable": False,
        "out": session.bytes_out,
    }
