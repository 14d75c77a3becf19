"""What the API server's answers mean, and what every client of it does alike: errors, pages, events."""

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from gateway import __version__
from gateway.backends.contract import Event, Headers, Response
from gateway.backends.kube import kubectl
from gateway.errors import HopFailed
from gateway.protocol.status import Status

Exchange = Callable[[str, str, Headers], AbstractAsyncContextManager[Response]]
HEADERS = (  # of a request for an object
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip"),
    ("User-Agent", f"dap-gateway/{__version__}"),
)
_CONNECTION = frozenset(  # headers that concern one connection alone (RFC 9110, 7.6.1)
    ("connection", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
PAGE = 100  # items: to decode 500 large pods (8 MB) stops the event loop for 0.2 s, in a thread as well
_CODES = {401: "cluster_unauthorized", 403: "forbidden", 404: "pod_not_found"}
_UNREACHABLE = (500, 502, 503, 504)  # without a Status: kubectl proxy's own
_WORDS = 400  # characters of a body that is no Status
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """A time for an answer; none is the cluster's error."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise HopFailed(
            "cluster_unreachable", f"no answer of the API server's within {seconds:g} s"
        ) from None


def with_query(path: str, query: Mapping[str, str]) -> str:
    """The path with more in its query."""
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}"


def end_to_end(headers: Headers) -> Headers:
    """Returns the headers that concern more than one connection, with names in lower case."""
    found = [(name.lower(), value) for name, value in headers]
    named = {
        word.strip().lower() for name, value in found if name == "connection" for word in value.split(",")
    }
    return [(name, value) for name, value in found if name not in _CONNECTION | named]


async def read(exchange: Exchange, path: str, size: int) -> tuple[dict[str, Any], int]:
    """Returns the object at a path and its bytes. Raises HopFailed."""
    async with exchange("GET", path, HEADERS) as response:
        body = await whole(response, size)
        return decode(response.status, body), len(body)


async def whole(response: Response, size: int) -> bytes:
    """Reads the body of an answer, unpacked. Raises HopFailed where it has more than `size` bytes."""
    body = bytearray()
    packed = ("content-encoding", "gzip") in response.headers
    gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        async for data in response.body:
            body += gzip.decompress(data, size + 1 - len(body)) if packed else data
            if len(body) > size:
                raise too_much(size)
    except zlib.error as error:
        raise HopFailed("cluster_failed", f"the API server's answer cannot be unpacked: {error}") from None
    return bytes(body)


def decode(code: int, body: bytes) -> dict[str, Any]:
    """The object of an answer. Raises HopFailed."""
    if code >= 300:
        raise refusal(code, body)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HopFailed("cluster_failed", f"the API server's answer is no JSON object: {_words(body)}")
    return found


def refusal(code: int, body: bytes) -> HopFailed:
    """An answer that is none: in the API server's words, or kubectl proxy's when it reaches none."""
    status = Status.parse(body)
    if status:
        return HopFailed(_CODES.get(code, "cluster_failed"), status.message or _words(body), status)
    if code in _UNREACHABLE:
        why = kubectl.unreachable(_words(body) or f"kubectl proxy answered {code}")
        return HopFailed(why.code, why.message)
    return HopFailed("cluster_failed", f"{code}: {_words(body)}")


async def pages(
    get: Callable[[str, int], Awaitable[tuple[dict[str, Any], int]]], path: str, size: int
) -> list[dict[str, Any]]:
    """The items of a list. `get(path, size)` returns an object and its bytes."""
    items: list[dict[str, Any]] = []
    more = ""
    while True:
        page, count = await get(
            with_query(path, {"limit": str(PAGE), **({"continue": more} if more else {})}), size
        )
        items += [item for item in page.get("items") or [] if isinstance(item, dict)]
        size -= count
        more = str((page.get("metadata") or {}).get("continue") or "")
        if not more:
            return items


async def events(chunks: AsyncIterator[bytes], size: int) -> AsyncGenerator[Event, None]:
    """Yields the events of a watch, one for each line. Raises HopFailed for a line that is broken or an error of the API
    server's, and where more than `size` bytes have come without a line's end.
    """
    held = b""
    async for chunk in chunks:
        *lines, held = (held + chunk).split(b"\n")
        if len(held) > size:
            raise too_much(size)
        for line in filter(None, lines):
            yield _event(line)


def too_much(size: int) -> HopFailed:
    """Returns the error for an answer of more than `size` bytes."""
    return HopFailed("cluster_failed", f"the API server's answer has more than {size} bytes")


def review(verb: str, resource: str, namespace: str, name: str) -> tuple[str, dict[str, Any]]:
    """Returns path and body of the question whether the runner's account may do this."""
    kind, _, part = resource.partition("/")
    asked = {"verb": verb, "resource": kind, "subresource": part, "namespace": namespace, "name": name}
    body = {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes": asked},
    }
    return _REVIEW, body


def reviewed(answer: Mapping[str, Any]) -> bool | None:
    """What the answer says; None where it says nothing."""
    status = answer.get("status")
    allowed = status.get("allowed") if isinstance(status, dict) else None
    return allowed if isinstance(allowed, bool) else None


def _event(line: bytes) -> Event:
    said = decode(200, line)
    kind, found = said.get("type"), said.get("object")
    if not isinstance(kind, str) or not isinstance(found, dict):
        raise HopFailed("cluster_failed", f"an event that is none: {_words(line)}")
    if kind == "ERROR":
        code = found.get("code")
        raise refusal(code if isinstance(code, int) else 500, json.dumps(found).encode())
    return Event(kind, found)


def _words(body: bytes) -> str:
    return " ".join(body.decode("utf-8", "replace").split())[:_WORDS]
