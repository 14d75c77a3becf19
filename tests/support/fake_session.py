"""A session that outlives its connections, as README.md of gateway/protocol has it (Resume), with a program of the test's."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.fake_gateway import Client, fake_gateway
from websockets.exceptions import ConnectionClosed

from gateway.protocol.codec import CHUNK
from gateway.protocol.messages import ClientMessage, Control, Resize, Stdin
from gateway.protocol.outcome import Outcome
from gateway.protocol.target import TerminalSize

NAME = "5e55104e5e55104e"
_LULL = 0.02  # seconds without input until all of it is acknowledged
_WAIT = 30.0  # seconds that a test waits for what must come


@dataclass
class FakeSession:
    """`program` runs once, from the first hello on. `window`, `grace`: as in hello.

    `exact`, `modes`: as in hello, for each attach. `lag`: input bytes that a `received` stays behind, until nothing more comes; None: it never comes. What is not
    acknowledged the program does not see. `broken`: what the client did that it may not.
    """

    program: Callable[["FakeSession"], Awaitable[None]]
    window: int = 65536
    grace: float = 600
    lag: int | None = 0
    exact: bool = False
    modes: str = ""
    output: bytearray = field(default_factory=bytearray)
    typed: bytearray = field(default_factory=bytearray)
    dropped: int = 0  # output before it is gone
    seen: int = 0
    secret: str = ""
    client: Client | None = None
    attaches: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[TerminalSize] = field(default_factory=list)
    closes: list[int] = field(default_factory=list)
    outcome: Outcome | int | None = None
    refusals: list[Outcome] = field(default_factory=list)  # for the next attaches
    broken: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _read: int = 0
    _told: int = 0
    _limit: int = 0
    _before: str = ""
    _gaps: dict[int, int] = field(default_factory=dict)  # where output is gone, and how much
    _begun: asyncio.Event = field(default_factory=asyncio.Event)

    # what the program does
    async def write(self, data: bytes) -> None:
        """Output; it waits here for as long as nobody takes it."""
        self.output += data
        await self._change()

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes of input."""
        await self.until(lambda: self._told >= self._read + size)
        self._read += size
        return bytes(self.typed[self._read - size : self._read])

    async def end(self, outcome: Outcome | int) -> None:
        """The session is over; whoever is or comes attached is told."""
        self.outcome = outcome
        await self._change()

    # what the test does
    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for it."""
        async with asyncio.timeout(_WAIT), self.changed:
            await self.changed.wait_for(condition)

    async def attached(self, times: int) -> None:
        """Waits until that many clients have come, the first one too."""
        await self.until(lambda: len(self.attaches) >= times - 1 and self.client is not None)

    def die(self) -> None:
        """As `cut`, and input that was not acknowledged yet is gone, as when a gateway is killed."""
        del self.typed[self._told :]
        self.cut()

    def cut(self) -> None:
        """The connection is lost, without a word."""
        assert self.client
        self.client.connection.transport.abort()
        self.client = None

    async def say(self, kind: str, **fields: object) -> None:
        """A control message to whoever is attached."""
        assert self.client
        await self.client.say(Control({"type": kind, **fields}))

    async def gap(self, size: int) -> None:
        """The next `size` bytes of output are gone before anybody saw them."""
        self._gaps[len(self.output)] = size
        self.output += bytes(size)
        await self._change()

    async def acknowledge(self, offset: int) -> None:
        """Input before `offset` has reached the program."""
        if self.client and offset > self._told:
            self._told, self._limit = offset, max(self._limit, offset + self.window)
            await self.client.say(Control({"type": "received", "offset": offset}))
            await self._change()

    # the gateway's part
    async def script(self, client: Client) -> None:
        """For `fake_gateway`."""
        if client.path.endswith("/attach") and client.path.startswith("/gateway/"):
            offset = await self._admit(client)
            if offset is None:
                return
        else:
            assert ("resume", "true") in client.query
            offset = 0
        async with asyncio.TaskGroup() as group:
            self._before = self.secret  # good until the client shows that it has the new one
            self.client, self.secret = client, secrets.token_hex(4)
            self._limit = len(self.typed) + self.window
            resume = {
                "secret": self.secret, "grace": self.grace, "offset": offset,
                "received": len(self.typed), "window": self.window, "modes": self.modes,
            }  # fmt: skip
            hello = {
                "type": "hello",
                "session": NAME,
                "gateway": "0",
                "tty": True,
                "exact": self.exact,
                "resume": resume,
            }
            await client.say(Control(hello), Control({"type": "started"}))
            self._begun.set()
            await self._change()
            taking = group.create_task(self._take(client))
            try:
                await self._give(client, offset)
            finally:
                taking.cancel()

    async def run(self) -> None:
        """The program, from the first hello on."""
        await self._begun.wait()
        await self.program(self)

    async def _admit(self, client: Client) -> int | None:
        message = await client.receive()
        assert isinstance(message, Control)
        assert message.body["type"] == "attach"
        self.attaches.append(dict(message.body))
        offset = message.body["offset"]
        refusal = self.refusals.pop(0) if self.refusals else None
        if message.body["secret"] not in (None, self.secret, self._before):
            refusal = refusal or Outcome("resume_refused", "another client took over")
        if offset is not None and not max(self.dropped, self.seen) <= offset <= len(self.output):
            refusal = refusal or Outcome("offset_gone")
        if refusal:
            await client.refuse(refusal)
            await self._change()
            return None
        if self.client:
            old, self.client = self.client, None
            with contextlib.suppress(ConnectionClosed):
                await old.end(Outcome("taken_over"))
        return max(self.dropped, len(self.output) - 65536) if offset is None else int(offset)

    async def _give(self, client: Client, at: int) -> None:
        self.seen = at
        while self.client is client:
            gap = min((start for start in self._gaps if start >= at), default=len(self.output))
            stop = min(gap, self.seen + self.window, at + CHUNK)
            if at == gap and gap in self._gaps:
                await self.say("gap", bytes=self._gaps[gap])
                at += self._gaps[gap]
            elif at < stop:
                await client.out(bytes(self.output[at:stop]))
                at = stop
            elif self.outcome is not None and at == len(self.output):
                await client.end(self.outcome)
                return
            else:
                async with self.changed:
                    await self.changed.wait()

    async def _take(self, client: Client) -> None:
        try:
            while True:
                try:
                    async with asyncio.timeout(_LULL if self.lag else None):
                        message = await client.receive()
                except TimeoutError:
                    await self.acknowledge(len(self.typed))
                    continue
                self._before = self.secret
                await self._took(message)
                await self._change()
        except ConnectionClosed as error:
            self.closes.append(error.rcvd.code if error.rcvd else 1006)
            if self.client is client:
                self.client = None
            await self._change()

    async def _took(self, message: ClientMessage) -> None:
        match message:
            case Stdin(data):
                self.typed += data
                if len(self.typed) > self._limit:
                    self.broken.append(f"{len(self.typed) - self._limit} bytes beyond its credit")
                if self.lag is not None:
                    await self.acknowledge(len(self.typed) - self.lag)
            case Resize(size):
                self.sizes.append(size)
            case Control(body) if body["type"] == "seen":
                if not self.seen <= body["offset"] <= len(self.output):
                    self.broken.append(f"seen {body['offset']} after {self.seen}")
                self.seen = max(self.seen, body["offset"])
            case _:
                pass

    async def _change(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def living(
    program: Callable[[FakeSession], Awaitable[None]],
    path: Path,
    *,
    http: dict[str, tuple[int, Any]] | None = None,
    **settings: Any,
) -> AsyncIterator[FakeSession]:
    """A fake gateway on a Unix socket with one such session. What the client did wrong fails the test."""
    session = FakeSession(program, **settings)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(session.run())
        async with fake_gateway(session.script, path, http=http) as gateway:
            yield session
        running.cancel()
    assert not gateway.failures
    assert not session.broken, session.broken
