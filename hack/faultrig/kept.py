"""The client that resumes: our own protocol with `resume`, as its README has it."""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus

from faultrig.checker import Told, Transcript
from faultrig.clients import OWN, Socket
from gateway.protocol.outcome import CODES

_BACKOFF = (0.2, 0.5, 1.0, 2.0)  # seconds before each attempt, the last one again and again
_PATIENCE = 120.0  # seconds without a connection, then it gives up
_PASSING = frozenset({503, 504})


@dataclass
class Kept(Socket):
    """Attaches again whenever its connection is gone, with what it has seen; its input is sent once more from where the
    gateway says. It keeps all of its input, which is a few lines.
    """

    protocol: str = OWN
    tty: bool = True
    input: bytearray = field(default_factory=bytearray)
    resume: dict[str, Any] | None = None
    known: str = ""  # the session's name
    offset: int = 0
    attached: int = 0
    says_seen: bool = True
    waits: Told | None = None  # for the first hop that was lost, with its monotonic time

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kind = "own resume"
        self.resumes = True
        self.ready = asyncio.Event()

    def take_over(self, other: "Kept") -> None:
        """Before `run`: goes on where the other one is, which says no more what it has seen: that would be gone."""
        other.says_seen = False
        self.known, self.resume, self.offset = other.known, other.resume, other.offset
        self.output, self.input, self.typed = other.output[:], other.input[:], other.typed

    async def talk(self) -> Told:
        """See `Client`."""
        lost = time.monotonic()
        for attempt in range(10_000):
            if attempt:
                await asyncio.sleep(_BACKOFF[min(self._failed, len(_BACKOFF) - 1)])
            self._failed += 1
            with suppress(OSError, ConnectionClosed, InvalidStatus, TimeoutError):
                if told := await self._once():
                    return told
            if self._failed == 1:
                lost = time.monotonic()
            if not self.resume or time.monotonic() - lost > _PATIENCE:
                break
        return Told("")

    _failed = 0

    async def _once(self) -> Told | None:
        """One connection; the session's end, if it told that."""
        path = f"/gateway/v1/sessions/{self.known}/attach" if self.known else self.path() + "&resume=true"
        async with self.connect(path) as connection:
            self.connection = connection
            self.ready.clear()
            if self.resume:
                await self.say({"type": "attach", "secret": self.resume["secret"], "offset": self.offset})
            told = None
            async for message in connection:
                assert isinstance(message, bytes)
                told = self.take(message) or told
                if message[0] == 5:
                    await self._answer(json.loads(message[1:]))
                elif message[0] == 1 and self.resume:
                    self.offset += len(message) - 1
                    if self.says_seen:
                        await self.say({"type": "seen", "offset": self.offset})
            return told

    def transcript(self, broken: float = 0.0, before: int = 0) -> Transcript:
        """See `Client`."""
        waits = self.waits and replace(self.waits, after=max(0.0, self.waits.after - broken))
        return replace(super().transcript(broken, before), waits=waits)

    def control(self, body: dict[str, Any]) -> Told | None:
        """A refusal that passes is none."""
        if body.get("type") == "refused" and self.known:
            row = CODES.get(str(body["code"]))
            if row and row.http in _PASSING:
                return None
        return super().control(body)

    async def _answer(self, body: dict[str, Any]) -> None:
        if body.get("type") == "gap":
            self.output += b"\ngap of %d\n" % body["bytes"]  # the rig's sessions never fill a journal
            self.offset += body["bytes"]
        if body.get("type") == "hop" and body["code"] and not self.waits:
            self.waits = Told(str(body["code"]), str(body["hop"]), after=time.monotonic())
        if body.get("type") != "hello":
            return
        self._failed = 0
        self.attached += 1
        self.known, self.resume = body["session"], body.get("resume")
        if self.resume:
            if self.resume["offset"] != self.offset:
                self.output += b"\nattached at %d, not %d\n" % (self.resume["offset"], self.offset)
                self.offset = self.resume["offset"]
            await self.say({"type": "seen", "offset": self.offset})
            self.ready.set()
            if rest := bytes(self.input[self.resume["received"] :]):
                await super().give(rest)

    async def say(self, body: dict[str, Any]) -> None:
        """A control message."""
        if self.connection:
            with suppress(ConnectionClosed):  # the end may have come, and waits to be read
                await self.connection.send(b"\x05" + json.dumps(body).encode())

    async def give(self, data: bytes) -> None:
        """Kept until the end, so that an attach can send it again."""
        self.input += data
        if self.ready.is_set():
            await super().give(data)
