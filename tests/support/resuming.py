"""A client of v1.dap-gateway that resumes, as strict as the wire: it checks each offset that it is told."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from support.exec_client import Access
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.protocol import State
from websockets.typing import Subprotocol as Name

LIMIT = 30.0  # seconds that any wait may take
BIG = 1 << 40


def shell(*argv: str, pod: str = "bash-0", resume: bool = True, cluster: str = "") -> str:
    """Path of a terminal in a pod, or, with `pod=""`, in the runner."""
    place = f"/api/v1/namespaces/default/pods/{quote(pod, safe='')}/exec"
    place = (f"/clusters/{cluster}" if cluster else "") + place
    if not pod:
        place = f"/gateway/v1/clusters/{cluster or 'default'}/run"
    query = [("command", one) for one in argv] + [(name, "true") for name in ("stdin", "stdout", "tty")]
    query += [("resume", "true")] * resume + [("columns", "80"), ("rows", "24")]
    return f"{place}?{urlencode(query, quote_via=quote)}"


@dataclass
class Resuming:
    """`output` is what a terminal would have drawn. `slow`: seconds before each `seen`; `deaf`: never says it."""

    access: Access
    output: bytearray = field(default_factory=bytearray)
    gaps: list[tuple[int, int]] = field(default_factory=list)  # (in `output`, bytes dropped)
    controls: list[dict[str, Any]] = field(default_factory=list)
    name: str = ""
    secret: str = ""
    offset: int = 0  # of the next output
    window: int = 0
    typed: bytearray = field(default_factory=bytearray)  # input from `forgotten` on
    forgotten: int = 0
    sent: int = 0  # offset of input
    received: int = 0
    deaf: bool = False
    seen: int = 0
    end: dict[str, Any] | None = None
    refused: dict[str, Any] | None = None
    status: dict[str, Any] | None = None
    closed: tuple[int, str] | None = None
    attaches: int = 0
    welcome: bool = False  # hello has come on this connection
    socket: ClientConnection | None = None
    _reader: asyncio.Task[None] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        """Its end was told, or it was refused."""
        return self.status is not None

    @property
    def lost(self) -> bool:
        """There is no connection."""
        return self._reader is None or self._reader.done()

    @property
    def hops(self) -> list[str | None]:
        """Codes of `hop`."""
        return [one["code"] for one in self.controls if one["type"] == "hop"]

    async def open(self, path: str) -> "Resuming":
        """Opens a session, up to its hello or refusal."""
        await self._connect(path)
        return await self._hello()

    async def attach(self, *, secret: str | None = "", offset: int | None = -1) -> "Resuming":
        """Attaches, by default with what it knows."""
        self.refused = self.status = self.end = None
        await self._connect(f"/gateway/v1/sessions/{self.name}/attach")
        body = {
            "type": "attach",
            "secret": self.secret if secret == "" else secret,
            "offset": self.offset if offset == -1 else offset,
        }
        if offset is None:
            self.offset = -1
        await self._say(5, json.dumps(body).encode())
        return await self._hello()

    async def type(self, data: bytes) -> None:
        """Input, as far as the window lets it; what cannot be sent is kept."""
        self.typed += data
        with suppress(ConnectionClosed):
            await self._push()

    async def until(self, true: Callable[[], Any], seconds: float = LIMIT) -> None:
        """Until it is true. TimeoutError; ConnectionError where the connection ended before."""
        async with asyncio.timeout(seconds):
            while not true():
                if self.lost:
                    raise ConnectionError(f"closed: {self.closed}")
                self._news.clear()
                await self._news.wait()

    async def cut(self) -> None:
        """The network goes, without a word."""
        if self.socket:
            self.socket.transport.abort()
        await self.gone()

    async def close(self, code: int = 1000) -> None:
        """A WebSocket close."""
        if self.socket:
            await self.socket.close(code)
        await self.gone()

    async def gone(self) -> None:
        """Until the connection has ended."""
        if reader := self._reader:
            async with asyncio.timeout(LIMIT):
                await asyncio.wait([reader])
            reader.result()

    async def control(self, **body: Any) -> None:
        """Any control message."""
        await self._say(5, json.dumps(body).encode())

    async def resize(self, columns: int, rows: int) -> None:
        """The terminal's size."""
        await self._say(4, json.dumps({"Width": columns, "Height": rows}).encode())

    async def _connect(self, path: str) -> None:
        await self.gone()
        access, headers, self.welcome = self.access, {}, False
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        settings: dict[str, Any] = {
            "additional_headers": headers, "subprotocols": [Name("v1.dap-gateway")], "compression": None,
            "max_size": None, "ping_interval": None, "open_timeout": LIMIT, "max_queue": 4,
        }  # fmt: skip
        self.socket = (
            await unix_connect(access.socket, f"ws://localhost{path}", **settings)
            if access.socket
            else await connect(access.url.replace("http", "ws", 1) + path, **settings)
        )
        self.closed = None
        self._reader = asyncio.get_running_loop().create_task(self._read(self.socket))

    async def _hello(self) -> "Resuming":
        count = self.attaches
        with suppress(ConnectionError):
            await self.until(lambda: self.attaches > count or self.status)
        return self

    async def _say(self, stream: int, body: bytes) -> None:
        assert self.socket
        if (
            self.socket.state is State.OPEN
        ):  # else it would wait for the end, which stands behind unread output
            await self.socket.send(bytes([stream]) + body)

    async def _push(self) -> None:
        while True:
            end = self.forgotten + len(self.typed)
            upto = min(end, self.received + self.window, self.sent + 30_000)
            if upto <= self.sent or self.lost or not self.welcome:
                return
            part = bytes(self.typed[self.sent - self.forgotten : upto - self.forgotten])
            self.sent = upto
            await self._say(0, part)

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                assert isinstance(message, bytes)
                await self._heard(message[0], message[1:])
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            self.closed = (socket.close_code or 1006, socket.close_reason or "")
            self._news.set()

    async def _heard(self, stream: int, body: bytes) -> None:
        if stream == 1:
            assert not self.over
            assert len(body) <= 32768
            self.output += body
            self.offset += len(body)
            assert self.offset - self.seen <= self.window or self.window == 0, "beyond what was seen"
            if self.offset - self.seen >= self.window // 4 and self.window and not self.deaf:
                await self.see()
        elif stream == 3:
            assert self.status is None
            self.status = json.loads(body)
        elif stream == 5:
            said = json.loads(body)
            if said["type"] != "opening":  # while the shell is opened, which depends on the time
                self.controls.append(said)
            await self._control(said)
        else:
            raise AssertionError(f"stream {stream}")

    async def see(self) -> None:
        """Says how far it has drawn."""
        self.seen = self.offset
        with suppress(ConnectionClosed):
            await self.control(type="seen", offset=self.offset)

    async def _control(self, said: dict[str, Any]) -> None:
        match said["type"]:
            case "hello":
                await self._welcome(said)
            case "gap":
                await self._gap(said)
            case "received":
                await self._received(said)
            case "end":
                self.end = said
            case "refused":
                self.refused = said

    async def _welcome(self, said: dict[str, Any]) -> None:
        self.name, resume = said["session"], said["resume"]
        if resume is None:
            self.attaches += 1
            return
        if self.offset == -1:
            self.offset = resume["offset"]
            self.forgotten = self.sent = resume["received"]
        assert resume["offset"] == self.offset, (resume, self.offset)
        self.seen = self.offset
        self.secret, self.window = resume["secret"], resume["window"]
        assert self.forgotten <= resume["received"] <= self.sent, (resume, self.forgotten, self.sent)
        self.sent = self.received = resume["received"]
        self.attaches += 1
        self.welcome = True
        if not self.deaf:
            await self.see()
        with suppress(ConnectionClosed):
            await self._push()

    async def _gap(self, said: dict[str, Any]) -> None:
        assert said["bytes"] > 0
        self.gaps.append((len(self.output), said["bytes"]))
        self.offset += said["bytes"]
        self.seen += said["bytes"]  # there is nothing to see
        if not self.deaf:
            await self.see()

    async def _received(self, said: dict[str, Any]) -> None:
        assert self.received < said["offset"] <= self.sent, (said, self.received, self.sent)
        self.received = said["offset"]
        del self.typed[: self.received - self.forgotten]
        self.forgotten = self.received
        with suppress(ConnectionClosed):
            await self._push()

    async def keep_on(
        self, *, pauses: tuple[float, ...] = (0.05, 0.2, 0.5, 1.0), seconds: float = 60.0
    ) -> None:
        """Follows the session to its end, attaching again as often as it takes."""
        async with asyncio.timeout(seconds):
            tries = 0
            while not self.over:
                if not self.lost:
                    await self.gone()
                    continue
                await asyncio.sleep(pauses[min(tries, len(pauses) - 1)])
                tries += 1
                before = self.attaches
                with suppress(OSError, InvalidHandshake, TimeoutError, ConnectionClosed, EOFError):
                    await self.attach()
                if self.attaches > before:
                    tries = 0
                elif self.refused and self.refused["code"] in ("ssh_unreachable", "shutdown"):
                    self.refused = self.status = None
