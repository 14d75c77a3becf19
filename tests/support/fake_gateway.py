"""A gateway that says what a test tells it to: real WebSockets on a real socket, no session behind them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from gateway.protocol import codec, status
from gateway.protocol.messages import (
    ClientMessage,
    Control,
    Ended,
    HalfClose,
    Output,
    Resize,
    ServerMessage,
    Stdin,
)
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.subprotocols import OWN


class Client:
    """The far end of one `dap`: what it sent, and what to tell it."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        request = connection.request
        assert request is not None
        parts = urlsplit(request.path)
        self.path = parts.path
        self.query = parse_qsl(parts.query)
        self.headers = request.headers
        self._decoder = codec.ClientDecoder(OWN)
        self._waiting: list[ClientMessage] = []
        self._typed = b""

    @property
    def argv(self) -> list[str]:
        """The command it asked for."""
        return [value for name, value in self.query if name == "command"]

    async def say(self, *messages: ServerMessage) -> None:
        """Sends them in order."""
        for message in messages:
            payload = codec.encode(message, OWN)
            assert payload is not None
            await self.connection.send(payload)

    async def hello(self, *, started: bool = True) -> None:
        """The beginning of every good session."""
        await self.say(Control({"type": "hello", "session": "s1", "gateway": "0", "tty": True}))
        if started:
            await self.say(Control({"type": "started"}))

    async def out(self, data: bytes, stream: int = 1) -> None:
        """Output of the command."""
        await self.say(Output(stream, data))

    async def end(self, outcome: Outcome | int) -> None:
        """The end in the order of the protocol: `end`, Status, close."""
        outcome = ended(outcome) if isinstance(outcome, int) else outcome
        await self.say(Control(outcome.as_control("end")), Ended(outcome.as_status()))
        await self.connection.close(1000)

    async def refuse(self, outcome: Outcome) -> None:
        """Instead of a hello."""
        await self.say(Control(outcome.as_control("refused")), Ended(outcome.as_status()))
        await self.connection.close(1000)

    async def receive(self) -> ClientMessage:
        """The next message of the client."""
        while not self._waiting:
            self._waiting = self._decoder.decode(await self.connection.recv(decode=False))
        return self._waiting.pop(0)

    async def input(self) -> bytes:
        """All its input until it closes its side."""
        data = bytearray()
        while True:
            match await self.receive():
                case Stdin(more):
                    data += more
                case HalfClose():
                    return bytes(data)
                case _:
                    pass

    async def typed(self, size: int) -> bytes:
        """Exactly `size` bytes of its input, sizes of the terminal left out."""
        while len(self._typed) < size:
            match await self.receive():
                case Stdin(more):
                    self._typed += more
                case _:
                    pass
        data, self._typed = self._typed[:size], self._typed[size:]
        return data

    async def resized(self) -> Resize:
        """The next new size."""
        while not isinstance(message := await self.receive(), Resize):
            pass
        return message


Script = Callable[[Client], Awaitable[None]]


@dataclass
class FakeGateway:
    """`http`: answers by path, for what is no WebSocket. `failures`: what went wrong in a script."""

    script: Script
    http: dict[str, tuple[int, Any]] = field(default_factory=dict)
    refuse: tuple[int, bytes] | None = None
    clients: list[Client] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, connection: ServerConnection) -> None:
        """One connection, by the script."""
        client = Client(connection)
        self.clients.append(client)
        self.joined.set()
        try:
            await self.script(client)
        except ConnectionClosed:
            pass
        except Exception as error:  # noqa: BLE001  # the test shows it
            self.failures.append(error)
        finally:
            self.closed.set()

    def answer(self, _: ServerConnection, request: Request) -> Response | None:
        """Plain HTTP, or a refusal before the upgrade."""
        self.requests.append(request)
        path = urlsplit(request.path).path
        if path in self.http:
            code, body = self.http[path]
            return _response(code, json.dumps(body).encode())
        if self.refuse:
            return _response(*self.refuse)
        return None


def _response(code: int, body: bytes) -> Response:
    headers = Headers(
        {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    )
    return Response(code, "Because", headers, body)


@asynccontextmanager
async def fake_gateway(
    script: Script, path: Path, *, http: dict[str, tuple[int, Any]] | None = None,
    refuse: tuple[int, bytes] | None = None,
) -> AsyncIterator[FakeGateway]:  # fmt: skip
    """On a Unix socket."""
    gateway = FakeGateway(script, http or {}, refuse)
    path.parent.mkdir(parents=True, exist_ok=True)
    async with unix_serve(
        gateway.handle, str(path), process_request=gateway.answer, subprotocols=[Subprotocol(OWN.name)],
        compression=None, max_size=None, ping_interval=None, close_timeout=2,
    ):  # fmt: skip
        yield gateway


@asynccontextmanager
async def fake_tcp_gateway(script: Script) -> AsyncIterator[tuple[FakeGateway, str]]:
    """On loopback, with its URL."""
    gateway = FakeGateway(script)
    async with serve(
        gateway.handle, "127.0.0.1", 0, process_request=gateway.answer, subprotocols=[Subprotocol(OWN.name)],
        compression=None, max_size=None, ping_interval=None, close_timeout=2,
    ) as server:  # fmt: skip
        port = next(iter(server.sockets)).getsockname()[1]
        yield gateway, f"http://127.0.0.1:{port}"


def a_failure(code: int, message: str) -> bytes:
    """The body of a refused upgrade."""
    return status.failure(code, message).json(http=True)
