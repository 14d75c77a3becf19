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
from gateway.server.app_keys import IDENTITY, LIMITS, REGISTRY
from gateway.server.audit import AUDIT, write
from gateway.server.refusals import Refusal
from gateway.sessions.record import shown
from gateway.sessions.registry import SessionRegistry
from gateway.sessions.session import Session

routes = web.RouteTableDef()
REASON = 200  # characters


@routes.get("/gateway/v1/sessions")
async def list_sessions(request: web.Request) -> web.Response:
    """One's own sessions, or, for who may, all of them; the oldest first."""
    found = [one for one in _live(request.app[REGISTRY]) if _may(request[IDENTITY], "list", one)]
    found.sort(key=lambda session: session.times.began)
    return web.json_response({"sessions": [_row(session) for session in found]})


@routes.delete("/gateway/v1/sessions/{name}")
async def kill(request: web.Request) -> web.Response:
    """Ends a session and waits for its end; its client is told who did it and why (`?reason=`)."""
    identity = request[IDENTITY]
    reason = _reason(request)
    session = next(
        (one for one in _live(request.app[REGISTRY]) if one.name == request.match_info["name"]), None
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


def _live(registry: SessionRegistry) -> list[Session]:
    """Returns the sessions whose command has not ended: an end may wait for its client."""
    return [session for session in registry.sessions if not session.over.done()]


def _may(identity: Identity, verb: str, session: Session) -> bool:
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


def _row(session: Session) -> dict[str, Any]:
    target, command = session.target, session.command
    names = {name: getattr(target, name) or None for name in ("cluster", "namespace", "pod", "container")}
    return {
        "name": session.name,
        "identity": session.identity.name,
        **names,
        "command": shown(command.argv) or None,
        "tty": command.tty,
        "opened": round(session.times.opened, 3),
        "idle": round(session.lifetime.idle(), 1),
        "attached": session.attached,
        "resumable": session.resumption is not None,
        "in": session.bytes_in,
        "out": session.output.end,
    }
