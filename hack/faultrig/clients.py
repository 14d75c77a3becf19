"""The clients of a round, one interface; here those on a WebSocket: Kubernetes' protocol, and our own."""

import asyncio
import json
import re
import socket
import struct
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from faultrig import program
from faultrig.checker import Told, Transcript
from gateway.protocol.status import Status

_LOOK = 0.05  # seconds
V5, OWN = "v5.channel.k8s.io", "v1.dap-gateway"
WORDS = re.compile(r"(\w+): .*\((\w+)\)\s*$", re.DOTALL)  # HOP: WORDS (CODE)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets


@dataclass(frozen=True)
class Access:
    """A gateway, by TCP and bearer token or, for `dap`, by what is in the environment."""

    url: str
    token: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Client(ABC):
    """One session. `run` to its end; everything else beside it."""

    access: Access
    mark: str
    tty: bool
    pod: str = "web-0"
    output: bytearray = field(default_factory=bytearray)
    told: Told | None = None
    at: float = 0.0  # monotonic, of the end
    typed: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    kind = ""
    resumes = False
    reaps = True  # the pod's processes are ended with the session, too

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.kind} {'tty' if self.tty else 'pipes'}"

    async def run(self) -> None:
        """Opens the session and reads it to its end. Never raises for what the far side does."""
        try:
            self.told = await self.talk()
        except (OSError, ConnectionClosed, InvalidStatus, TimeoutError) as error:
            self.told = Told("", exit_code=None) if self.output else Told(f"not opened: {error}"[:200])
        finally:
            self.at = time.monotonic()
            self.over.set()

    async def opened(self, seconds: float) -> bool:
        """Waits for its first lines; whether they came."""
        end = time.monotonic() + seconds
        while b" out 1" not in self.output and not self.over.is_set() and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)
        return b" out 1" in self.output

    async def type_line(self) -> None:
        """The next number."""
        with suppress(ConnectionClosed, OSError):
            number, self.typed = self.typed, self.typed + 1
            await self.give(program.line(number))

    async def stop(self) -> None:
        """Asks the program to end itself."""
        with suppress(ConnectionClosed, OSError):
            await self.give(program.STOP)

    def transcript(self, broken: float = 0.0, before: int = 0) -> Transcript:
        """What it saw, with times from the fault on."""
        told = self.told
        if told:
            told = Told(told.code, told.hop, told.exit_code, max(0.0, self.at - broken))
        return Transcript(self.name, self.mark, bytes(self.output), told, before, self.typed)

    @abstractmethod
    async def talk(self) -> Told:
        """The session."""

    @abstractmethod
    async def give(self, data: bytes) -> None:
        """Input."""

    @abstractmethod
    def cut(self) -> None:
        """Goes without a word."""

    @abstractmethod
    def silence(self) -> None:
        """Answers nothing from now on, and stays connected."""

    @abstractmethod
    def wake(self) -> None:
        """Ends the silence."""


@dataclass
class Socket(Client):
    """A WebSocket of either protocol, without resume."""

    protocol: str = V5

    def __post_init__(self) -> None:
        self.kind = "v5" if self.protocol == V5 else "own"
        self.reaps = self.protocol == OWN
        self.connection: ClientConnection | None = None

    def path(self) -> str:
        """Path and query of the session."""
        names = ("stdin", "stdout", "tty") if self.tty else ("stdin", "stdout", "stderr")
        query = [("command", word) for word in program.argv(self.mark)]
        query += [("container", "main"), *((name, "true") for name in names)]
        query += [("killOnDisconnect", "true")] if self.protocol == OWN else []
        return f"/api/v1/namespaces/default/pods/{quote(self.pod)}/exec?{urlencode(query)}"

    def connect(self, path: str) -> connect:
        """With no pings of our own: what is broken is for the gateway to tell."""
        return connect(
            self.access.url.replace("http", "ws", 1) + path, subprotocols=[Subprotocol(self.protocol)],
            additional_headers={"Authorization": f"Bearer {self.access.token}"}, compression=None,
            max_size=None, ping_interval=None, proxy=None, open_timeout=40, close_timeout=2,
        )  # fmt: skip

    async def talk(self) -> Told:
        """See `Client`."""
        told = Told("")
        async with self.connect(self.path()) as connection:
            self.connection = connection
            with suppress(ConnectionClosed):
                async for message in connection:
                    told = self.take(message if isinstance(message, bytes) else message.encode()) or told
        return told

    def take(self, message: bytes) -> Told | None:
        """One message; the end that it tells."""
        stream, data = message[0], message[1:]
        if stream in {1, 2}:
            self.output += data
        elif stream == 5 and data:
            return self.control(json.loads(data))
        elif stream == 3 and data and self.protocol == V5:
            return _from_status(Status.parse(data))
        return None

    def control(self, body: dict[str, Any]) -> Told | None:
        """One control message of ours."""
        if body.get("type") in {"end", "refused"}:
            return Told(str(body["code"]), str(body["hop"]), body.get("exitCode"))
        return None

    async def give(self, data: bytes) -> None:
        """See `Client`."""
        if self.connection:
            await self.connection.send(b"\x00" + data)

    def cut(self) -> None:
        """A reset."""
        if self.connection and not self.over.is_set():
            raw = self.connection.transport.get_extra_info("socket")
            with suppress(OSError):  # it is closed already
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.connection.transport.abort()

    def silence(self) -> None:
        """Reads nothing, so answers no ping."""
        if self.connection:
            self.connection.transport.pause_reading()

    def wake(self) -> None:
        """Reads again."""
        if self.connection and not self.connection.transport.is_closing():
            self.connection.transport.resume_reading()


def _from_status(status: Status | None) -> Told:
    if status is None:
        return Told("unnamed: no Status")
    if status.success:
        return Told("exited", "pod", 0)
    if status.exit_code is not None:
        return Told("exited", "pod", status.exit_code)
    if match := WORDS.search(status.message.removeprefix("Internal error occurred: ")):
        return Told(match[2], match[1])
    return Told(f"unnamed: {status.message}"[:200])
