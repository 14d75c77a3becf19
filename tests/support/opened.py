"""A session that a test holds open, and what carries its mark ended behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from support import marks
from support.exec_client import Access, Conversation, Request, open_
from support.marks import marked
from support.waiting import until
from websockets.asyncio.client import ClientConnection

from gateway.protocol.subprotocols import OWN

TTY, PIPES = ("stdin", "stdout", "tty"), ("stdin", "stdout", "stderr")


class Open:
    """A session that is open; `name` is its id."""

    def __init__(self, talk: Conversation, connection: ClientConnection) -> None:
        self.talk = talk
        self.name = talk.transcript.controls[0]["session"]
        self._connection = connection

    async def types(self, line: str, *, runs: str = "") -> None:
        """Sends the line, and waits until what it `runs` does."""
        await self.talk.stdin(f"{line}\n".encode())
        if runs:
            await self.running(runs)

    async def running(self, *lines: str) -> None:
        """Waits until each of these command lines is a process of the session. A number of processes would not do:
        a shell's child counts before it has set its traps, or become what it runs.
        """
        await until(lambda: set(lines) <= set(marked(self.name).values()))

    def vanish(self) -> None:
        """Without a close, and without a word."""
        self._connection.transport.abort()


@asynccontextmanager
async def opened(
    access: Access,
    *argv: str,
    streams: tuple[str, ...] = TTY,
    pod: str = "bash-0",
    seconds: float = 60,
    **more: Any,
) -> AsyncIterator[Open]:
    """Leaving it closes the connection, if nobody has, and ends what carries the session's mark."""
    request = Request(argv, pod=pod, streams=streams, **more)
    async with asyncio.timeout(seconds), open_(access, request.path(), (OWN.name,)) as connection:
        talk = Conversation(connection, OWN)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(talk.read())
            await until(lambda: any(one["type"] == "started" for one in talk.transcript.controls))
            one = Open(talk, connection)
            try:
                yield one
            finally:
                await talk.close()
                with suppress(TimeoutError):
                    async with asyncio.timeout(5):
                        await reading
                reading.cancel()
                marks.end(one.name)
