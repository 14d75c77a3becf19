"""Opens a connection to the gateway on which another protocol than HTTP is spoken, by HTTP's Upgrade (RFC 9110, 7.8)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

from gateway import __version__
from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exchange import Headers
from gateway.client.exit_status import UNREACHABLE, GatewayFailed
from gateway.client.stream import dialled
from gateway.client.websocket import OPEN
from gateway.errors import why

_PART = 64 * 1024
_BODY = 64 * 1024  # bytes of a refusal


@dataclass(frozen=True)
class Upgraded:
    """Holds a connection after the upgrade. `early`: what the gateway sent right behind its answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    early: bytes


@asynccontextmanager
async def upgraded(
    endpoint: Endpoint, path: str, protocol: str, headers: Headers = ()
) -> AsyncIterator[Upgraded]:
    """Sends a POST that asks for `protocol`, and enters with the connection; leaving aborts it. Raises GatewayFailed: with
    the words of the gateway's Status where it refuses.
    """
    async with dialled(endpoint) as (reader, writer):
        try:
            async with asyncio.timeout(OPEN):
                early = await _ask(endpoint, reader, writer, path, protocol, headers)
        except (TimeoutError, OSError, h11.RemoteProtocolError) as error:
            message = f"no answer from the gateway at {endpoint}: {why(error)}"
            raise GatewayFailed(UNREACHABLE, message, passing=True) from None
        yield Upgraded(reader, writer, early)


async def _ask(
    endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, protocol: str, headers: Headers
) -> bytes:  # fmt: skip
    """Returns what comes behind the answer to the request. Raises GatewayFailed for another answer than 101."""
    url = urlsplit(endpoint.url)
    http1 = h11.Connection(h11.CLIENT)
    lines = [
        ("Host", url.netloc), ("User-Agent", f"dap/{__version__}"), ("Content-Length", "0"),
        ("Connection", "Upgrade"), ("Upgrade", protocol), *endpoint.headers.items(), *headers,
    ]  # fmt: skip
    request = h11.Request(method="POST", target=url.path + path, headers=lines)
    writer.write((http1.send(request) or b"") + (http1.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    answer = await _next(http1, reader)
    if isinstance(answer, h11.InformationalResponse) and answer.status_code == 101:
        return bytes(http1.trailing_data[0])
    assert isinstance(answer, h11.Response)
    body = b""
    while isinstance(part := await _next(http1, reader), h11.Data) and len(body) < _BODY:
        body += part.data
    raise http.refusal(answer.status_code, body)


async def _next(http1: h11.Connection, reader: asyncio.StreamReader) -> h11.Event:
    while (event := http1.next_event()) is h11.NEED_DATA:
        http1.receive_data(await reader.read(_PART))
    assert isinstance(event, h11.Event)
    return event
