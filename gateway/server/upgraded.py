"""Passes bytes both ways between a client and the API server, after both have agreed on another protocol than HTTP."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from aiohttp import web

from gateway.backends.contract import ByteStream, Response
from gateway.errors import HopFailed, first
from gateway.protocol.outcome import Outcome
from gateway.relay.wire import FULL
from gateway.server.connection import connection_of
from gateway.server.refusals import Refusal
from gateway.sessions.passed import PassedSession, PassedSessions

_AHEAD = (
    64 * 1024
)  # bytes that wait for the API server, before the client is held back; half of what may wait
_PART = 8 * FULL  # bytes that are passed on at once: full frames of a relay
_LAST = 5.0  # seconds for one side to end after the other has


class AnswerSent(web.StreamResponse):
    """Stands for an answer that was sent already, or that nobody takes any more: aiohttp sends nothing, and closes the
    connection.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status=status)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        """Sends nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Sends nothing."""


async def pass_bytes(
    request: web.Request, response: Response, protocol: str, session: PassedSession, sessions: PassedSessions
) -> web.StreamResponse:
    """Sends the 101 and passes bytes until both sides have ended, or one is lost; meanwhile `session` is among `sessions`.
    Raises Refusal where the client has sent bytes before.
    """
    assert response.stream
    reader = asyncio.StreamReader(_AHEAD)
    inner = asyncio.StreamReaderProtocol(reader)
    try:
        transport = connection_of(request).take_over(inner)
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    writer = asyncio.StreamWriter(transport, inner, reader, asyncio.get_running_loop())
    writer.write(_head(response, protocol))
    try:
        with sessions.running(session):
            await _both_ways(reader, writer, response.stream, session)
    finally:
        transport.close()
    return AnswerSent(101)


async def _both_ways(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: ByteStream, session: PassedSession
) -> None:
    async def up() -> None:
        while data := await reader.read(_PART):
            session.received(data)
            await stream.write(data)
        session.finish(Outcome("client_closed"))
        stream.write_eof()

    async def down() -> None:
        while data := await stream.read():
            session.sent(data)
            writer.write(data)
            await writer.drain()
        session.finish(Outcome("stream_ended"))
        if writer.can_write_eof():
            with suppress(OSError):  # the client has left: what it reset is not connected any more
                writer.write_eof()
        else:  # TLS has no half of a connection to close
            writer.close()

    try:
        await _until_both_end(up(), down())
    except* HopFailed as lost:  # the other side sees its connection end
        session.finish(first(lost).outcome())
    except* ConnectionError:
        session.finish(Outcome("client_lost"))


async def _until_both_end(*ways: Coroutine[Any, Any, None]) -> None:
    """Runs both ways. After the end of one, the other has _LAST seconds."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(way) for way in ways]
        _, rest = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        if rest:
            await asyncio.wait(rest, timeout=_LAST)
            for way in rest:
                way.cancel()


def _head(response: Response, protocol: str) -> bytes:
    lines = [("Connection", "Upgrade"), ("Upgrade", protocol), *response.headers]
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 101 Switching Protocols\r\n{text}\r\n".encode("latin-1")
