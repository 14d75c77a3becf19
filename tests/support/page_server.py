"""A gateway as the page sees one: tickets, tokens, and a scripted shell behind `v1.dap-gateway`.

Enough for every state of the page without a chain behind it. The policy is the one the gateway sends.
"""

import asyncio
import base64
import codecs
import json
import secrets
import shlex
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from support.kept_session import ResumableSession

PAGE = Path(__file__).parents[2] / "gateway" / "server" / "page"
SUBPROTOCOL = "v1.dap-gateway"
BEARER = "base64url.bearer.authorization.k8s.io."
PROMPT = b"$ "


def policy(nonce: str) -> str:
    """The Content-Security-Policy of the page."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; connect-src 'self'; "
        "img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


DEFAULTS = {"default": "default", "east": "shop"}  # namespaces of pods that are named without one


@dataclass
class Seen:
    """What one session was given by the page."""

    pod: str
    query: dict[str, list[str]]
    stdin: bytearray = field(default_factory=bytearray)
    largest: int = 0  # bytes of the longest message
    sizes: list[tuple[int, int]] = field(default_factory=list)


class PageServer:
    """Pods by name: `missing-0` is refused, `evil-0` with escape codes, `slow-0` answers once `reading` is set,
    `lost-0` loses its tunnel, `still-0` reads stdin only once `reading` is set. Any other has the scripted shell,
    and one whose name begins with `kept` keeps its session: `kept` has them, oldest first.
    """

    def __init__(self) -> None:
        self.tickets: set[str] = set()
        self.tokens: set[str] = set()
        self.sessions: list[Seen] = []
        self.kept: list[ResumableSession] = []
        self.window = 128 * 1024  # bytes, of the sessions that are kept
        self.grace = 600  # seconds
        self.down = False  # handshakes fail
        self.group: asyncio.TaskGroup
        self.running: list[asyncio.Task[None]] = []
        self.reading = asyncio.Event()
        self.url = ""
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/", self._page),
                web.static("/assets", PAGE / "assets"),
                web.post("/gateway/v1/token", self._exchange),
                web.delete("/gateway/v1/token", self._sign_out),
                web.get("/gateway/v1/info", self._info),
                web.get("/api/v1/namespaces/{namespace}/pods/{pod}/exec", self._exec),
                web.get("/clusters/{cluster}/api/v1/namespaces/{namespace}/pods/{pod}/exec", self._exec),
                web.get("/gateway/v1/clusters/{cluster}/pods/{pod}/exec", self._exec),
                web.get("/gateway/v1/clusters/{cluster}/namespace", self._namespace),
                web.get("/gateway/v1/sessions/{session}/attach", self._attach),
            ]
        )

    def ticket(self) -> str:
        """A fresh one, good for one use."""
        ticket = secrets.token_urlsafe(16)
        self.tickets.add(ticket)
        return ticket

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs until it is done, or the server stops."""
        self.running.append(self.group.create_task(work))
        return self.running[-1]

    async def _page(self, _request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        html = (PAGE / "index.html").read_text().replace("__NONCE__", nonce)
        headers = {"Content-Security-Policy": policy(nonce), "Cache-Control": "no-store"}
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def _exchange(self, request: web.Request) -> web.Response:
        ticket = (await request.json())["ticket"]
        if ticket not in self.tickets:
            return _unauthorized("the ticket is unknown, used or expired")
        self.tickets.remove(ticket)
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        return web.json_response({"token": token, "expiresIn": 43200, "identity": "tester"})

    async def _sign_out(self, request: web.Request) -> web.Response:
        self.tokens.discard(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return web.Response(status=204)

    async def _info(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _unauthorized("the token is unknown")
        clusters = [{"name": "default"}, {"name": "east", "production": ["sh*"]}]
        return web.json_response({"version": "0", "clusters": clusters, "identity": "tester"})

    async def _namespace(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _unauthorized("the token is unknown")
        return web.json_response({"namespace": DEFAULTS[request.match_info["cluster"]]})

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        if _bearer(request) not in self.tokens:
            return _unauthorized("the token is unknown")
        socket = web.WebSocketResponse(protocols=[SUBPROTOCOL], compress=False)
        await socket.prepare(request)
        query = {name: request.query.getall(name) for name in request.query}
        seen = Seen(request.match_info["pod"], query)
        self.sessions.append(seen)
        shell = Shell(self, request, socket, seen)
        if not seen.pod.startswith("kept"):
            await shell.run()
            return socket
        session = ResumableSession(self.window, self.grace)
        self.kept.append(session)
        self.spawn(KeptShell(self, request, socket, seen, session).live())
        await session.first(request, socket, shell.target())
        return socket

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            raise web.HTTPServiceUnavailable
        if _bearer(request) not in self.tokens:
            return _unauthorized("the token is unknown")
        socket = web.WebSocketResponse(protocols=[SUBPROTOCOL], compress=False)
        await socket.prepare(request)
        session = next(each for each in self.kept if each.name == request.match_info["session"])
        await session.attach(request, socket, {"pod": "kept-0", "container": "main"})
        return socket


class Shell:
    """One session: the end is either an `end` of `run`, or the connection's."""

    def __init__(
        self, server: PageServer, request: web.Request, socket: web.WebSocketResponse, seen: Seen
    ) -> None:
        self._server = server
        self._request = request
        self._socket = socket
        self._seen = seen
        self._line = bytearray()

    async def run(self) -> None:
        pod = self._seen.pod
        if pod == "missing-0":
            return await self._refuse('pods "missing-0" not found in the namespace "default"')
        if pod == "evil-0":
            return await self._refuse("\x1b]0;owned\x07\x1b[2J<img src=x onerror=alert(1)>\u202eevil\r\nend")
        if pod == "slow-0":
            await self._server.reading.wait()
        await self._start()
        if pod == "lost-0":
            return await self._end("ssh_lost", "ssh", "the connection to the management host was lost", None)
        if pod == "still-0":
            await self._server.reading.wait()
        if command := self._seen.query.get("command"):
            await self._output(f"ran {shlex.join(command)}\r\n".encode())
            return await self._exited(0)
        return await self._read()

    def target(self) -> dict[str, Any]:
        """As `hello` names it."""
        cluster = self._request.match_info.get("cluster", "default")
        return {
            "cluster": cluster,
            "namespace": self._request.match_info.get("namespace", DEFAULTS[cluster]),
            "pod": self._seen.pod,
            "container": self._request.query.get("container", "main"),
        }

    async def _start(self) -> None:
        hello = {"type": "hello", "session": "s1", "gateway": "0", "target": self.target(), "command": None}
        await self._control(hello | {"tty": True, "resume": None})
        await self._output(b"")
        await self._control({"type": "started"})
        if not self._seen.query.get("command"):
            await self._output(PROMPT)

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY:
                continue
            stream, data = message.data[0], message.data[1:]
            self._seen.largest = max(self._seen.largest, len(message.data))
            if stream == 5 and json.loads(data)["type"] == "ping":
                await self._control({"type": "pong"})
            elif stream == 4:
                size = json.loads(data)
                self._seen.sizes.append((size["Width"], size["Height"]))
            elif stream == 0:
                self._seen.stdin += data
                if self._seen.pod != "still-0":
                    await self._keys(data)

    async def _keys(self, data: bytes) -> None:
        if len(data) > 1000:
            return None
        for key in data:
            if key == 0x04 and not self._line:
                return await self._exited(0)
            if key == 0x03:
                self._line.clear()
                await self._output(b"^C\r\n" + PROMPT)
            elif key == 0x0D:
                await self._output(b"\r\n")
                line = self._line.decode("utf-8", "replace")
                self._line.clear()
                await self._command(line)
            else:
                self._line.append(key)
                await self._output(bytes([key]))
        return None

    async def _command(self, line: str) -> None:
        match line.split(" ", 1):
            case ["exit", *code]:
                return await self._exited(int(code[0]) if code else 0)
            case ["drop"]:
                if self._request.transport is not None:
                    self._request.transport.abort()
                return None
            case ["stty", "size"]:
                columns, rows = self._seen.sizes[-1]
                await self._output(f"{rows} {columns}\r\n".encode())
            case ["printf", text]:
                await self._output(codecs.decode(shlex.split(text)[0], "unicode_escape").encode())
            case ["bulk", count]:
                for number in range(int(count)):
                    await self._output(b"".join(b"%06d %s\r\n" % (number, b"x" * 70) for _ in range(400)))
            case ["echo", text]:
                await self._output(text.encode() + b"\r\n")
            case ["wait"]:
                await self._server.reading.wait()
            case _:
                await self._output(b"sh: not found\r\n" if line else b"")
        await self._output(PROMPT)
        return None

    async def _exited(self, code: int) -> None:
        await self._end("exited", "pod", f"the command ended with exit code {code}", code)

    async def _refuse(self, message: str) -> None:
        await self._control(
            {"type": "refused", "code": "pod_not_found", "hop": "cluster", "message": message}
        )
        await self._status({"status": "Failure", "message": message, "reason": "NotFound", "code": 404})

    async def _end(self, code: str, hop: str, message: str, exit_code: int | None) -> None:
        await self._control(
            {"type": "end", "code": code, "hop": hop, "message": message, "exitCode": exit_code}
        )
        await self._status(
            {"status": "Success"} if exit_code == 0 else {"status": "Failure", "message": message}
        )

    async def _status(self, status: dict[str, Any]) -> None:
        await self._send(3, json.dumps({"metadata": {}, **status}).encode())
        await self._socket.close(code=1000)

    async def _control(self, body: dict[str, Any]) -> None:
        await self._send(5, json.dumps(body).encode())

    async def _output(self, data: bytes) -> None:
        await self._send(1, data)

    async def _send(self, stream: int, data: bytes) -> None:
        if not self._socket.closed:
            await self._socket.send_bytes(bytes([stream]) + data)


class KeptShell(Shell):
    """The same shell, where it outlives its connections."""

    def __init__(
        self,
        server: PageServer,
        request: web.Request,
        socket: web.WebSocketResponse,
        seen: Seen,
        session: ResumableSession,
    ) -> None:
        super().__init__(server, request, socket, seen)
        self._session = session
        self._busy: asyncio.Task[None] | None = None

    async def live(self) -> None:
        """Until it ends by itself."""
        await self._output(PROMPT)
        while self._session.ended is None:
            data = await self._session.keys()
            self._seen.sizes = self._session.sizes
            if b"\x03" in data and self._busy:
                self._busy.cancel()
                await self._session.gap()
            await self._keys(data[-1000:] if b"\x03" in data else data)

    async def _command(self, line: str) -> None:
        match line.split(" "):
            case ["drop"]:
                self._session.cut()
                await self._output(PROMPT)
            case ["yes"]:
                self._busy = self._server.spawn(self._yes())
            case ["list", last]:
                await self._output(
                    b"".join(b"number %06d\r\n" % number for number in range(1, int(last) + 1))
                )
                await self._output(PROMPT)
            case ["count", last]:
                self._busy = self._server.spawn(self._count(int(last)))
            case _:
                await super()._command(line)

    async def _yes(self) -> None:
        while True:  # faster than any page draws: a megabyte always waits
            if self._session.waiting < 1_000_000:
                await self._output(b"y\r\n" * 400_000)
            await asyncio.sleep(0.01)

    async def _count(self, last: int) -> None:
        for number in range(1, last + 1):
            await self._output(b"number %06d\r\n" % number)
            await asyncio.sleep(0.004)
        await self._output(PROMPT)

    async def _output(self, data: bytes) -> None:
        self._session.write(data)

    async def _end(self, code: str, hop: str, message: str, exit_code: int | None) -> None:
        self._session.finish(code, hop, message, exit_code)


@asynccontextmanager
async def serve() -> AsyncIterator[PageServer]:
    """Runs one on a free port of loopback; `url` has no slash at its end."""
    server = PageServer()
    runner = web.AppRunner(server.app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        async with asyncio.TaskGroup() as server.group:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            server.url = f"http://127.0.0.1:{port}"
            yield server
            for task in server.running:
                task.cancel()
    finally:
        await runner.cleanup()


def _unauthorized(message: str) -> web.Response:
    body = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "Unauthorized", "code": 401,
    }  # fmt: skip
    return web.json_response(body, status=401)


def _bearer(request: web.Request) -> str:
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    for name in (part.strip() for part in offered):
        if name.startswith(BEARER):
            encoded = name.removeprefix(BEARER)
            return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    return ""
