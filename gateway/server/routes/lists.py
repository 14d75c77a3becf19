"""Lists that a page looks at, pushed over one WebSocket for each page: rows as they change, and how far to believe them."""

import asyncio
import json
from typing import Any, Final

from aiohttp import WSMsgType, hdrs, web

from gateway.access.bearer import offered_protocols
from gateway.backends.kube import workloads
from gateway.backends.kube.tables import KINDS
from gateway.errors import DapError
from gateway.protocol.errors import BadRequest, ProtocolError
from gateway.protocol.request_info import RequestInfo
from gateway.protocol.subprotocols import Subprotocol
from gateway.protocol.target import Target
from gateway.server.app_keys import BACKENDS, IDENTITY, IMPERSONATION, LIMITS, LISTS, PEER, REGISTRY, RELAYED
from gateway.server.audit import AUDIT
from gateway.server.lists.live_list import LiveList, Viewer
from gateway.server.lists.live_lists import Key
from gateway.server.refusals import Refusal
from gateway.server.websocket.keepalive import Keepalive
from gateway.server.websocket.socket import Gone, Socket, handshake, upgrade
from gateway.settings.config import cluster_called

routes = web.RouteTableDef()
PROTOCOL: Final = Subprotocol("v1.lists.dap-gateway")
_ROWS = 500  # of one message
_PACE = 0.1  # seconds between two messages about one list: what changes often is told once
_OPEN = 16  # lists of one page
_BROKEN = 1008


@routes.get("/gateway/v1/lists")
async def serve_lists(request: web.Request) -> web.StreamResponse:
    """Makes the WebSocket a page's window on lists; the page says which. See the README of the protocol."""
    if request.method != "GET" or request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise Refusal(400, "Upgrade request required")
    if PROTOCOL.name not in offered_protocols(request[PEER]):
        raise Refusal(403, f"lists are looked at with a WebSocket that speaks {PROTOCOL.name}")
    websocket = handshake(request, PROTOCOL, request.app[LIMITS].close)
    async with request.app[RELAYED].passing(request):
        await upgrade(websocket, request, PROTOCOL)
        await Window(request, websocket).run()
    return websocket


class Window:
    """Shows one page the lists that it opens, each under the page's own number."""

    def __init__(self, request: web.Request, websocket: Socket) -> None:
        self._request = request
        self._websocket = websocket
        self._shown: dict[int, tuple[asyncio.Task[None], LiveList | None]] = {}

    async def run(self) -> None:
        """Returns once the page has closed the WebSocket; hangs up on a page that breaks the protocol, or is gone."""
        keepalive = Keepalive(
            self._websocket, self._request.app[LIMITS], lambda _: self._send({"pong": True})
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                keepalive.start(tasks)
                await self._read(tasks, keepalive)
                keepalive.stop()
                for task, _ in self._shown.values():
                    task.cancel()
        except* (Gone, ConnectionError):
            self._websocket.transport.abort()
        except* BadRequest as group:
            await self._websocket.hang_up(_BROKEN, str(group.exceptions[0]), 1.0)
        except* ProtocolError as group:
            broken: ProtocolError = group.exceptions[0]  # type: ignore[assignment]  # one level: `_read` raises it
            await self._websocket.hang_up(broken.close_code, str(broken), 1.0)

    async def _read(self, tasks: asyncio.TaskGroup, keepalive: Keepalive) -> None:
        while True:
            message = await self._websocket.receive()
            if message.type is WSMsgType.PING:
                keepalive.ping(message.data)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._told(_parsed(message.data), tasks, keepalive)
            elif message.type is not WSMsgType.PONG:
                return

    def _told(self, said: dict[str, Any], tasks: asyncio.TaskGroup, keepalive: Keepalive) -> None:
        """Does what the page asks for. Raises BadRequest."""
        match said:
            case {"ping": True}:
                keepalive.ask()
            case {
                "open": int(number),
                "cluster": str(cluster),
                "kind": str(kind),
                "namespace": str(namespace),
            }:
                if number in self._shown or len(self._shown) >= _OPEN:
                    raise BadRequest(f"list {number} is open, or {_OPEN} others are")
                asked = (number, cluster, kind, namespace)
                self._shown[number] = tasks.create_task(self._show(*asked)), None
            case {"close": int(number)}:
                if shown := self._shown.pop(number, None):
                    shown[0].cancel()
            case {"retry": int(number)}:
                if (shown := self._shown.get(number)) and shown[1]:
                    shown[1].retry()
            case _:
                raise BadRequest("a message is one of open, close, retry and ping")

    async def _show(self, number: int, cluster: str, kind: str, namespace: str) -> None:
        """Tells the page about a list until the page closes it, or says why not."""
        try:
            key = self._permitted(cluster, kind, namespace)
            with self._request.app[LISTS].viewing(key) as (live, viewer):
                self._shown[number] = self._shown[number][0], live
                while True:
                    await viewer.changed.wait()
                    full = await self._tell(number, live, viewer)
                    await asyncio.sleep(0 if full or live.state.name == "loading" else _PACE)
        except (DapError, BadRequest) as error:
            outcome = error.outcome() if isinstance(error, DapError) else None
            code, hop = (outcome.code, outcome.hop.value) if outcome else ("bad_request", "client")
            self._request.app[AUDIT].refused(self._request, code, str(error))
            refused = {"name": "refused", "code": code, "hop": hop, "message": str(error)}
            await self._send({"list": number, "state": refused})

    async def _tell(self, number: int, live: LiveList, viewer: Viewer) -> bool:
        """Sends what has changed, at most _ROWS rows of it; returns True if there is more."""
        keys = viewer.take(_ROWS)
        message: dict[str, Any] = {"list": number}
        if rows := [live.rows[key] for key in keys if key in live.rows]:
            message["rows"] = rows
        if gone := [key for key in keys if key not in live.rows]:
            message["gone"] = gone
        if viewer.state_changed and not viewer.keys:  # first what the state is about
            viewer.state_changed = False
            message["state"] = live.state.body()
        elif viewer.state_changed and live.state.name == "loading":
            message["state"] = live.state.body()
        await self._send(message)
        return bool(viewer.keys)

    def _permitted(self, cluster: str, kind: str, namespace: str) -> Key:
        """Returns the list that is meant. Raises Refused and BadRequest."""
        if kind not in KINDS:
            raise BadRequest(f"{kind!a} cannot be looked at: use one of {', '.join(KINDS)}")
        request, app = self._request, self._request.app
        identity = request[IDENTITY]
        backends = app[BACKENDS]
        cluster = cluster_called(cluster, backends)
        where = Target.parse(cluster, namespace, "any", None) if namespace else Target(cluster)
        path = workloads.collection(where.namespace, kind)
        group = path.split("/")[2] if path.startswith("/apis/") else ""
        target = Target(cluster, where.namespace, "" if kind == "pods" else kind)
        for verb in ("list", "watch"):
            info = RequestInfo(verb, path, group, "v1", kind, "", where.namespace)
            app[REGISTRY].permit(identity, verb, target, info=info)
        app[AUDIT].read(request, str(target), path)
        return Key(cluster, kind, where.namespace, app[IMPERSONATION].actor(identity, cluster))

    async def _send(self, message: dict[str, Any]) -> None:
        await self._websocket.send_str(json.dumps(message, separators=(",", ":")))


def _parsed(text: str | bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise BadRequest("a message is a JSON object")
    return said
