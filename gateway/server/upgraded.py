"""Passes bytes both ways between a client and the API server, after both have agreed on another protocol than HTTP."""

import asyncio
import time

from aiohttp import web

from gateway.backends.contract import ByteStream, Response
from gateway.errors import HopFailed
from gateway.server import audit
from gateway.server.connection import connection_of
from gateway.server.refusals import Refusal

_AHEAD = (
    64 * 1024
)  # bytes that wait for the API server, before the client is held back; half of what may wait
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
    request: web.Request, response: Response, stream: ByteStream, protocol: str
) -> web.StreamResponse:
    """Sends the 101 and passes bytes until both sides have ended, or one is lost. Raises Refusal where the client has
    sent bytes before.
    """
    reader = asyncio.StreamReader(_AHEAD)
    inner = asyncio.StreamReaderProtocol(reader)
    try:
        transport = connection_of(request).take_over(inner)
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    writer = asyncio.StreamWriter(transport, inner, reader, asyncio.get_running_loop())
    writer.write(_head(response, protocol))
    began, counts = time.monotonic(), [0, 0]
    try:
        await _both_ways(reader, writer, stream, counts)
    finally:
        transport.close()
        seconds = round(time.monotonic() - began, 3)
        audit.write(
            "stream_closed", request, path=request.path, received=counts[0], sent=counts[1], seconds=seconds
        )
    return AnswerSent(101)


async def _both_ways(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: ByteStream, counts: list[int]
) -> None:
    async def up() -> None:
        while data := await reader.read(_AHEAD):
            counts[0] += len(data)
            await stream.write(data)
        stream.write_eof()

    async def down() -> None:
        while data := await stream.read():
            counts[1] += len(data)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:  # TLS has no half of a connection to close
            writer.close()

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            ways = [tasks.create_task(up()), tasks.create_task(down())]
            _, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if rest:
                await asyncio.wait(rest, timeout=_LAST)
                for way in rest:
                    way.cancel()

    try:
        await both()
    except* (HopFailed, ConnectionError):
        pass  # the other side sees its connection end


def _head(response: Response, protocol: str) -> bytes:
    lines = [("Connection", "Upgrade"), ("Upgrade", protocol), *response.headers]
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 101 Switching Protocols\r\n{text}\r\n".encode("latin-1")
