"""A small client of the exec wire: any row of the table against any URL, and what came back as one transcript.

It says also what no decent client says (raw payloads, fragments), so it decodes only what it has to.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol as Name

from gateway.protocol.codec import CHUNK, encode
from gateway.protocol.messages import ClientMessage, HalfClose, Resize, Stdin
from gateway.protocol.status import Status
from gateway.protocol.subprotocols import V5, Subprotocol
from gateway.protocol.target import TerminalSize


@dataclass(frozen=True)
class Access:
    """Where, and with what proof: a client certificate, a bearer token, or a Unix socket's peer uid."""

    url: str
    token: str = ""
    tls: ssl.SSLContext | None = None
    socket: str = ""


@dataclass(frozen=True)
class Request:
    """One exec or attach. `streams` are query parameters: stdin, stdout, stderr, tty."""

    argv: tuple[str, ...] = ()
    pod: str = "bash-0"
    container: str = ""
    streams: tuple[str, ...] = ("stdout", "stderr")
    verb: str = "exec"
    namespace: str = "default"
    prefix: str = ""  # for example /clusters/lab
    extra: tuple[tuple[str, str], ...] = ()

    def path(self) -> str:
        """Path and query."""
        query = [("command", argument) for argument in self.argv]
        query += [("container", self.container)] if self.container else []
        query += [(name, "true") for name in self.streams]
        pod = quote(self.pod, safe="")
        place = f"{self.prefix}/api/v1/namespaces/{self.namespace}/pods/{pod}/{self.verb}"
        return f"{place}?{urlencode([*query, *self.extra], quote_via=quote, safe='')}"


@dataclass(frozen=True)
class Refusal:
    """An HTTP answer instead of the upgrade."""

    code: int
    content_type: str
    body: bytes


@dataclass
class Transcript:
    """All that a server said. `streams`: bytes of each, joined. `hello`: the streams of empty messages, in order.

    `opening`: the hops that the gateway waited for before it said more, however few or many. `late`: streams that spoke after the Status. `sizes`: the largest payload seen on a stream.
    """

    refusal: Refusal | None = None
    subprotocol: str | None = None
    streams: dict[int, bytearray] = field(default_factory=dict)
    hello: list[int] = field(default_factory=list)
    statuses: list[bytes] = field(default_factory=list)
    opening: list[str] = field(default_factory=list)
    controls: list[dict[str, Any]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    largest: int = 0
    close_code: int | None = None

    @property
    def stdout(self) -> bytes:
        """All of stream 1."""
        return bytes(self.streams.get(1, b""))

    @property
    def stderr(self) -> bytes:
        """All of stream 2."""
        return bytes(self.streams.get(2, b""))

    @property
    def status(self) -> Status | None:
        """The one Status, where stream 3 carried exactly one."""
        return Status.parse(self.statuses[0]) if len(self.statuses) == 1 else None


class Conversation:
    """An open session. `read` collects until the close; everything else may run beside it."""

    def __init__(self, connection: ClientConnection, row: Subprotocol) -> None:
        self.transcript = Transcript(subprotocol=connection.subprotocol)
        self._connection = connection
        self._row = row
        self._news = asyncio.Event()
        self._over = False

    async def read(self) -> Transcript:
        """Until the server has closed. Cancelling loses nothing that is in the transcript."""
        try:
            async for payload in self._connection:
                self._take(payload)
                self._news.set()
        except ConnectionClosed:
            pass  # without a close frame; the code says so
        self._over = True
        self._news.set()
        self.transcript.close_code = self._connection.close_code
        return self.transcript

    async def seen(self, marker: bytes, stream: int = 1) -> None:
        """Waits until the stream has said `marker`; ConnectionError when it ends without."""
        while marker not in self.transcript.streams.get(stream, b""):
            if self._over:
                raise ConnectionError(f"ended without {marker!r}: {self.transcript}")
            self._news.clear()
            await self._news.wait()

    async def stdin(self, data: bytes) -> None:
        """In messages of at most 32 KiB."""
        for at in range(0, len(data), CHUNK):
            await self.say(Stdin(data[at : at + CHUNK]))

    async def half_close(self, stream: int = 0) -> None:
        """The end of the command's input."""
        await self.say(HalfClose(stream))

    async def resize(self, columns: int, rows: int) -> None:
        """As kubectl says it."""
        await self.say(Resize(TerminalSize(columns, rows)))

    async def say(self, message: ClientMessage) -> None:
        """Any message the row has words for."""
        payload = encode(message, self._row)
        if payload is None:
            raise ValueError(f"{self._row.name} has no words for {message}")
        await self.raw(payload)

    async def raw(self, payload: bytes | str | Iterable[bytes]) -> None:
        """Any payload: a text or binary message, or the fragments of one. After the end it goes nowhere."""
        try:
            await self._connection.send(payload)
        except ConnectionClosed:
            return

    async def close(self, code: int = 1000) -> None:
        """Leaves first."""
        await self._connection.close(code)

    def _take(self, payload: bytes | str) -> None:
        text = isinstance(payload, str)
        if text != self._row.base64 or not payload:
            raise ValueError(f"{self._row.name} does not allow {payload!r}")
        if isinstance(payload, str):
            stream, data = ord(payload[0]) - ord("0"), base64.b64decode(payload[1:], validate=True)
        else:
            stream, data = payload[0], bytes(payload[1:])
        said = self.transcript
        said.largest = max(said.largest, len(data))
        if said.statuses:
            said.late.append(stream)
        if stream == 3 and data:
            said.statuses.append(data)
        elif stream == 5 and self._row.control:
            self._take_control(json.loads(data))
        elif not data:
            said.hello.append(stream)
        else:
            said.streams.setdefault(stream, bytearray()).extend(data)

    def _take_control(self, control: dict[str, Any]) -> None:
        said = self.transcript
        if control["type"] != "opening":
            said.controls.append(control)
        elif said.controls:
            raise ValueError("opening comes before all else")
        else:
            said.opening.append(control["hop"])


Script = Callable[[Conversation], Coroutine[Any, Any, None]]


async def run(
    access: Access,
    request: Request,
    script: Script | None = None,
    *,
    row: Subprotocol = V5,
    offers: Iterable[str] = (),
    seconds: float = 60,
) -> Transcript:
    """Opens, plays the script while reading, and waits for the server's close. TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        try:
            opening = open_(access, request.path(), tuple(offers) or (row.name,))
            async with AsyncExitStack() as stack:
                connection = await opening
                # Behind a flood the close takes too long, and a task that is cancelled keeps the socket then, before Python
                # 3.11.3 (gateway/timeouts.py)
                stack.callback(connection.transport.abort)
                await stack.enter_async_context(connection)
                conversation = Conversation(connection, row)
                async with asyncio.TaskGroup() as tasks:
                    if script:
                        tasks.create_task(script(conversation))
                    return await conversation.read()
        except InvalidStatus as error:
            answer = error.response
            kind = answer.headers.get("Content-Type", "")
            return Transcript(refusal=Refusal(answer.status_code, kind, bytes(answer.body or b"")))


def open_(access: Access, path: str, offers: tuple[str, ...], **more: Any) -> connect:
    options: dict[str, Any] = {
        "subprotocols": [Name(name) for name in offers if name] or None,
        "additional_headers": {"Authorization": f"Bearer {access.token}"} if access.token else None,
        "compression": None,
        "max_size": None,
        "ping_interval": None,
        "open_timeout": None,  # its caller's limit is for all of it
        "user_agent_header": None,
    } | more
    if access.socket:
        return unix_connect(access.socket, f"ws://localhost{path}", **options)
    options["ssl"] = access.tls
    return connect(access.url.replace("http", "ws", 1) + path, proxy=None, **options)


@asynccontextmanager
async def slow_reader(
    access: Access, request: Request, pause: float
) -> AsyncIterator[Callable[[], Awaitable[tuple[int, int | None]]]]:
    """A client that does not read for a while. `await read()`: reads one message, pauses, reads the rest; (bytes of stdout, exit code)."""
    async with open_(access, request.path(), (V5.name,), max_queue=1) as connection:

        async def read() -> tuple[int, int | None]:
            got, status = 0, None
            first = True
            async for payload in connection:
                assert isinstance(payload, bytes)
                if payload[0] == 1:
                    got += len(payload) - 1
                elif payload[0] == 3:
                    status = Status.parse(payload[1:])
                if first and len(payload) > 1:
                    first = False
                    await asyncio.sleep(pause)
            return got, status.exit_code if status else None

        yield read
