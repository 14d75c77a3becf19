"""Sends single HTTP requests to the gateway whose bodies are streams both ways, each on a connection of its own: what is
cancelled ends, and nothing waits for another's reader.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway import __version__
from gateway.client.endpoint import Endpoint
from gateway.client.exchange import Body, Broken, Connection, Headers, Request, exchanged
from gateway.client.exit_status import LOST, UNREACHABLE, GatewayFailed
from gateway.client.reach import trust
from gateway.client.websocket import OPEN, explained, notice_loss, socket_to

AHEAD = 256 * 1024  # bytes, twice of which may wait to be read: one read of a socket takes as much
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Answer:
    """Holds the answer to a request. `headers`: with names in lower case. `body`: its bytes as they come, which raise
    GatewayFailed where the connection is lost before their end.
    """

    status: int
    headers: Headers
    body: AsyncIterator[bytes]
    reason: str = ""

    def header(self, name: str) -> str:
        """Returns the first header of that name, which is in lower case; empty where there is none."""
        return next((value for known, value in self.headers if known == name), "")

    async def read(self, limit: int) -> bytes:
        """Returns the body up to its end, or its first `limit` bytes and a little more. Raises GatewayFailed."""
        body = bytearray()
        async for part in self.body:
            body += part
            if len(body) >= limit:
                break
        return bytes(body)


@asynccontextmanager
async def dialled(endpoint: Endpoint) -> AsyncIterator[Pair]:
    """Connects to the gateway, with TLS where its URL says so; leaving aborts the connection. Raises GatewayFailed."""
    with explained(endpoint):
        async with asyncio.timeout(OPEN):
            reader, writer = await _connect(endpoint)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _connect(endpoint: Endpoint) -> Pair:
    sock, context = await socket_to(endpoint), trust(endpoint)
    name = urlsplit(endpoint.url).hostname if context else None
    reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name, limit=AHEAD)
    notice_loss(writer.transport)
    return reader, writer


@asynccontextmanager
async def requested(
    endpoint: Endpoint, method: str, path: str, headers: Headers = (), body: bytes | AsyncIterable[bytes] = b"",
    *, seconds: float | None = None,
) -> AsyncIterator[Answer]:  # fmt: skip
    """Sends a request and enters once the head of the answer is there, while a `body` that is a stream is still sent;
    leaving ends both. `seconds`: for the head to come; None: for ever. Raises GatewayFailed, and what the stream raises.
    """
    request = _request(endpoint, method, path, headers, body)
    late = f"no answer from the gateway at {endpoint} within {seconds or 0:g} s"
    async with dialled(endpoint) as pair, AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(seconds):
                answer = await stack.enter_async_context(exchanged(Connection(*pair), request))
        except TimeoutError:
            raise GatewayFailed(UNREACHABLE, late, passing=True) from None
        except Broken as broken:
            message = f"no answer from the gateway at {endpoint}: {broken}"
            raise GatewayFailed(UNREACHABLE, message, passing=True) from None
        names = [(name.lower(), value) for name, value in answer.headers]
        yield Answer(answer.status, names, _body(answer.parts), answer.reason)


def _request(
    endpoint: Endpoint, method: str, path: str, headers: Headers, body: bytes | AsyncIterable[bytes]
) -> Request:
    url, given = urlsplit(endpoint.url), {name.lower() for name, _ in headers}
    agent = () if "user-agent" in given else (("User-Agent", f"dap/{__version__}"),)
    ours = [("Host", url.netloc), *agent, *endpoint.headers.items(), ("Connection", "close")]
    if isinstance(body, bytes):
        sent = Body.of(body) if body or method in ("POST", "PUT", "PATCH") else None
    else:
        sent = Body(lambda: aiter(body), None, again=False)
    return Request(method, url.path + path, [*ours, *headers], sent)


async def _body(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for part in parts:
            yield part
    except Broken:
        raise GatewayFailed(
            LOST, "the connection was lost in the middle of an answer", passing=True
        ) from None
