"""Makes one exchange whose faults have curl's exit codes."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from gateway.client import exchange
from gateway.client.curl.failure import EMPTY, PARTIAL, RECEIVE, SEND, UNSUPPORTED, CurlFailed
from gateway.client.exchange import Broken, Connection, Fault, Headers, Request

_STATUS = {
    Fault.REQUEST: SEND, Fault.EMPTY: EMPTY, Fault.NO_HTTP: UNSUPPORTED, Fault.CUT: PARTIAL, Fault.LOST: RECEIVE,
}  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """Holds the beginning of an answer, and its body as the body arrives; reading the body raises CurlFailed where it is cut.
    `line`: the status line; `headers`: as they were written.
    """

    status: int
    line: str
    headers: Headers
    body: AsyncIterator[bytes] = field(repr=False)

    def header(self, name: str) -> str | None:
        """Returns the first header of that name, None where there is none."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@asynccontextmanager
async def exchanged(connection: Connection, request: Request) -> AsyncIterator[Reply]:
    """Sends the request and enters with the answer's beginning. Raises CurlFailed, and what the request's body raises."""
    with _numbered():
        async with exchange.exchanged(connection, request) as one:
            yield Reply(one.status, one.line, one.headers, _body(one.parts))


async def _body(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _numbered():
        async for part in parts:
            yield part


@contextmanager
def _numbered() -> Iterator[None]:
    try:
        yield
    except Broken as broken:
        raise CurlFailed(_STATUS[broken.fault], str(broken)) from None
