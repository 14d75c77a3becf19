"""A session that outlives its connections, as the page sees one: offsets, acknowledgements, credit, attach."""

import asyncio
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

CHUNK = 32 * 1024


@dataclass
class Heard:
    """What the page has said on all connections of one session."""

    attaches: list[dict[str, Any]] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    closes: list[int | None] = field(default_factory=list)
    furthest: int = 0  # offset behind the last byte of input that arrived


class ResumableSession:
    """Output goes into `output` whole; `taken` is the input that the command was given, each byte once.

    Tests act on it directly: `write`, `cut`, `say`, `gap`, `finish`; `taking` is false while the command reads
    nothing; `refusal` is the control message for the next attaches, if they are to be refused.
    """

    def __init__(self, window: int = 128 * 1024, grace: int = 600) -> None:
        self.name = secrets.token_hex(4)
        self.window = window
        self.grace = grace
        self.age = 0
        self.modes = ""
        self.output = bytearray()
        self.taken = bytearray()
        self.sizes: list[tuple[int, int]] = []
        self.heard = Heard()
        self.taking = True
        self.refusal: dict[str, Any] | None = None
        self.ended: dict[str, Any] | None = None
        self._secret = ""
        self._seen = 0
        self._sent = 0
        self._socket: web.WebSocketResponse | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._changed = asyncio.Event()
        self._typed = bytearray()  # arrived, and not taken
        self._come = asyncio.Event()

    @property
    def attached(self) -> bool:
        """Whether a page is connected right now."""
        return self._socket is not None

    async def keys(self) -> bytes:
        """The next input of the command, when it is there and the command reads."""
        while not (self._typed and self.taking):
            self._come.clear()
            await self._come.wait()
        data = bytes(self._typed)
        self._typed.clear()
        self.taken += data
        await self.say({"type": "received", "offset": len(self.taken)})
        return data

    def read_again(self) -> None:
        """The command reads its input from now on."""
        self.taking = True
        self._come.set()

    def write(self, data: bytes) -> None:
        """Output of the command."""
        self.output += data
        self._changed.set()

    def cut(self) -> None:
        """The connection is gone without a word."""
        if self._transport is not None:
            self._transport.abort()  # type: ignore[attr-defined]

    async def say(self, body: dict[str, Any]) -> None:
        """A control message to the page that is attached, if one is."""
        if self._socket is not None and not self._socket.closed:
            await self._socket.send_bytes(b"\x05" + json.dumps(body).encode())

    @property
    def waiting(self) -> int:
        """Bytes of output that the page has no room for yet."""
        return len(self.output) - self._sent

    async def gap(self) -> None:
        """Output that waits is dropped."""
        dropped, self._sent = self.waiting, len(self.output)
        if dropped:
            await self.say({"type": "gap", "bytes": dropped})

    def finish(self, code: str, hop: str, message: str, exit_code: int | None = None) -> None:
        """The session's end; told once all output is out, also to a page that attaches later."""
        self.ended = {"type": "end", "code": code, "hop": hop, "message": message, "exitCode": exit_code}
        self._changed.set()

    async def first(
        self, request: web.Request, socket: web.WebSocketResponse, target: dict[str, Any]
    ) -> None:
        """Serves the connection that opened it."""
        await self._serve(request, socket, 0, target)

    async def attach(
        self, request: web.Request, socket: web.WebSocketResponse, target: dict[str, Any]
    ) -> None:
        """Serves a later one, whose first message has to be `attach`."""
        message = await socket.receive(timeout=10)
        if message.type is not WSMsgType.BINARY:
            return
        attach = json.loads(message.data[1:])
        self.heard.attaches.append(attach)
        refusal = self.refusal
        if attach["secret"] not in (None, self._secret):
            refusal = {
                "type": "refused",
                "code": "resume_refused",
                "hop": "gateway",
                "message": "not its secret",
            }
        if refusal is not None:
            await socket.send_bytes(b"\x05" + json.dumps(refusal).encode())
            await socket.close()
            return
        if self._socket is not None:
            await self._take_away()
        offset = attach["offset"]
        await self._serve(
            request, socket, max(0, len(self.output) - 65536) if offset is None else offset, target
        )

    async def _take_away(self) -> None:
        body = {"type": "end", "code": "taken_over", "hop": "client", "message": "", "exitCode": None}
        await self.say(body)
        socket, self._socket = self._socket, None
        assert socket is not None
        await socket.close(code=1000)

    async def _serve(
        self, request: web.Request, socket: web.WebSocketResponse, offset: int, target: dict[str, Any]
    ) -> None:
        self._socket, self._transport = socket, request.transport
        self._secret = secrets.token_urlsafe(8)
        self._seen = self._sent = offset
        resume = {"secret": self._secret, "grace": self.grace, "offset": offset}
        resume |= {"received": len(self.taken), "window": self.window, "modes": self.modes}
        self._typed.clear()  # it has not got across safely
        hello = {"type": "hello", "session": self.name, "gateway": "0", "target": target, "command": None}
        await self.say(hello | {"tty": True, "resume": resume, "age": self.age})
        await self.say({"type": "started"})
        self._changed.set()
        async with asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(self._pump(socket))
            with suppress(ConnectionError):
                async for message in socket:
                    if message.type is WSMsgType.BINARY and socket is self._socket:
                        await self._hear(message.data[0], message.data[1:])
            pump.cancel()
        self.heard.closes.append(socket.close_code)
        if self._socket is socket:
            self._socket = self._transport = None

    async def _hear(self, stream: int, data: bytes) -> None:
        if stream == 0:
            self._typed += data
            self.heard.furthest = max(self.heard.furthest, len(self.taken) + len(self._typed))
            self._come.set()
        elif stream == 4:
            size = json.loads(data)
            self.sizes.append((size["Width"], size["Height"]))
        elif stream == 5:
            body = json.loads(data)
            if body["type"] == "ping":
                await self.say({"type": "pong"})
            elif body["type"] == "seen":
                self._seen = body["offset"]
                self.heard.seen.append(self._seen)
                self._changed.set()

    async def _pump(self, socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            await self._changed.wait()
            self._changed.clear()
            while data := self.output[self._sent : min(self._sent + CHUNK, self._seen + self.window)]:
                self._sent += len(data)
                with suppress(ConnectionError):
                    await socket.send_bytes(b"\x01" + bytes(data))
            if self.ended and self._sent == len(self.output):
                await self.say(self.ended)
                success = self.ended["exitCode"] == 0
                status: dict[str, Any] = {"metadata": {}, "status": "Success" if success else "Failure"}
                await socket.send_bytes(b"\x03" + json.dumps(status).encode())
                await socket.close(code=1000)
                return
