"""Whether a client lives: its pings are answered, and silence is noticed."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from gateway.protocol.messages import Control
from gateway.protocol.outcome import Outcome
from gateway.server.websocket.socket import Gone, Socket
from gateway.settings.config import Limits

_TICK = 0.5  # seconds between looks at the connection


class Keepalive:
    """Watches one connection. `say` sends a message; `blocked`: nobody reads, since the command does not take its
    input.
    """

    def __init__(self, socket: Socket, limits: Limits, say: Callable[[Control], Awaitable[None]]) -> None:
        self.blocked = False
        self._socket = socket
        self._limits = limits
        self._say = say
        self._data: bytes | None = None
        self._asked = 0  # by ping messages of our own
        self._tasks: asyncio.TaskGroup
        self._watching: asyncio.Task[None]
        self._answering: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Watches from now on, in a task of the group, which fails with Gone where the client is gone."""
        self._tasks = tasks
        self._watching = tasks.create_task(self._watch())

    def stop(self) -> None:
        """Ends the tasks, also one that waits for a client that does not read."""
        self._watching.cancel()
        if self._answering:
            self._answering.cancel()

    def ping(self, data: bytes) -> None:
        """Sends a pong with the data of a ping that has come, soon."""
        self._data = data
        self._answer()

    def ask(self) -> None:
        """Replies to a ping message of our own, soon."""
        self._asked += 1
        self._answer()

    def _answer(self) -> None:
        if self._answering is None:
            self._answering = self._tasks.create_task(self._answer_all())

    async def _answer_all(self) -> None:
        """Answers the latest ping (RFC 6455, 5.5.3), apart from the reader: a pong waits behind output, input must
        not. A page, which sees no pings of WebSocket, has a message of our own for it.
        """
        while self._asked or self._data is not None:
            while self._asked:
                self._asked -= 1
                await self._say(Control({"type": "pong"}))
            if self._data is not None:
                data, self._data = self._data, None
                await self._socket.pong(data)
        self._answering = None

    async def _watch(self) -> None:
        """Pings, for proxies and so that the client's kernel has something to acknowledge, and listens for silence.
        Raises Gone.

        While nobody reads, the end of the connection may stand behind what is not read, and a ping would ask a client
        that cannot write for an answer: an unsolicited pong (RFC 6455, 5.5.3) finds out whether somebody is there.
        """
        limits, pinged = self._limits, time.monotonic()
        while True:
            await asyncio.sleep(min(_TICK, limits.ping))
            stuck = self.blocked or self._socket.unsent
            if stuck and self._socket.hung_up:
                raise Gone(Outcome("client_lost"))
            if self._socket.unacknowledged > limits.silence:
                raise Gone(Outcome("client_lost", f"no sign of the client for {limits.silence:g} s"))
            if self.blocked and not self._socket.unsent:
                await self._socket.pong()
            elif not stuck and time.monotonic() - pinged >= limits.ping:
                pinged = time.monotonic()
                await self._socket.ping()
