"""Writes what the edge decides about a request to the log: who was refused what and why, who signs in and out, who reads
pods. README.md beside this file has the events.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import web

from gateway.access.identity import Identity
from gateway.log import printable
from gateway.server.app_keys import IDENTITY, PEER
from gateway.server.metrics import Metrics

log = structlog.get_logger()
PAUSE = 60.0  # seconds between two lines about the same client, event and reason
_CLIENTS = 10_000  # whose lines are remembered; the oldest goes first
_PATH = 300  # characters


class Audit:
    """Writes one line for each event, but of events that repeat one a minute: `repeated` counts those without a line."""

    def __init__(
        self, metrics: Metrics, clock: Callable[[], float] = time.monotonic, pause: float = PAUSE
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._pause = pause
        self._written: dict[tuple[str, ...], tuple[float, int]] = {}  # when, and how many since then

    def refused(self, request: web.Request, why: str, message: str) -> None:
        """Counts and logs a request that was refused. `why`: an outcome's code, or `place`, `unauthorized`, `ticket`."""
        self._metrics.refused(why)
        fields = {"method": request.method, "path": _path(request), "message": message}
        self._repeating("request_refused", request, why, why=why, **fields)

    def read(self, request: web.Request, target: str, path: str) -> None:
        """Logs that pods were read."""
        self._repeating("cluster_read", request, path, target=target, path=path)

    def _repeating(self, event: str, request: web.Request, what: str, **fields: Any) -> None:
        peer, identity = request[PEER], request.get(IDENTITY)
        now, who = self._clock(), peer.address or f"uid {peer.uid}"
        key = (event, who, identity.name if identity else "", what)
        at, repeated = self._written.get(key, (float("-inf"), 0))
        if now - at < self._pause:
            self._written[key] = at, repeated + 1
            return
        self._written.pop(key, None)
        while len(self._written) >= _CLIENTS:
            del self._written[next(iter(self._written))]
        self._written[key] = now, 0
        if repeated:
            fields["repeated"] = repeated
        write(event, request, **fields)


def _path(request: web.Request) -> str:
    """Returns the path as the log may have it: of one with a secret its pattern."""
    if "secret" in request.match_info and (resource := request.match_info.route.resource):
        return resource.canonical
    return printable(request.path)[:_PATH]


AUDIT: web.AppKey[Audit] = web.AppKey("audit", Audit)


def write(event: str, request: web.Request, identity: Identity | None = None, **fields: Any) -> None:
    """Logs an event with who caused it, from which address or uid, and with which user agent. `identity`: where the
    request itself has shown none.
    """
    peer, identity = request[PEER], identity or request.get(IDENTITY)
    who = {"by": identity.name, "proof": identity.proof} if identity else {}
    where = {"address": peer.address} if peer.address else {"uid": peer.uid}
    log.info(event, **who, **where, agent=printable(peer.agent) or None, **fields)
