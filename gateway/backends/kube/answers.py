"""Decodes the API server's answers for every `ClusterApi`: objects, errors, pages of a list, events of a watch."""

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from gateway import __version__
from gateway.backends.contract import SIZE, Event, Headers, Response
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
_UNREACHABLE = (500, 502, 503, 504)  # an answer without a Status: kubectl proxy reached no API server
_TEXT = 400  # characters of a body, at most, in an error message
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Limits the body of the `async with` to `seconds`; raises HopFailed (cluster_unreachable) when they are over."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise HopFailed(
            "cluster_unreachable", f"no answer from the API server within {seconds:g} s"
        ) from None


def with_query(path: str, query: Mapping[str, str]) -> str:
    """Returns `path` with `query` added to the query that the path may have."""
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}"


def end_to_end(headers: Headers) -> Headers:
    """Returns the headers without those that concern one connection alone (RFC 9110, 7.6.1), with names in lower
    case.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    named = {
        word.strip().lower() for name, value in lowered if name == "connection" for word in value.split(",")
    }
    return [(name, value) for name, value in lowered if name not in _CONNECTION | named]


async def read(
    exchange: Exchange, path: str, size: int, headers: Headers = HEADERS
) -> tuple[dict[str, Any], int]:
    """Sends a GET for `path` and returns the object of the answer, and how many bytes the answer had. Raises
    HopFailed for an error status, a body that is not a JSON object, and a body of more than `size` bytes.
    """
    async with exchange("GET", path, headers) as response:
        body = await whole(response, size)
        return decode(response.status, body), len(body)


async def whole(response: Response, size: int) -> bytes:
    """Reads the whole body of an answer and returns the body, decompressed. Raises HopFailed for a body of more than
    `size` bytes, for broken gzip, and where the answer is cut.
    """
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
    """Returns the JSON object in the body of an answer with the HTTP status `code`. Raises HopFailed for a status
    from 300 on, and for a body that is not a JSON object.
    """
    if code >= 300:
        raise refusal(code, body)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise HopFailed("cluster_failed", f"the API server's answer is not a JSON object: {_text(body)}")
    return value


def refusal(code: int, body: bytes) -> HopFailed:
    """Returns the error for an answer with the error status `code`: with the Status in `body`, else with the text in
    `body`. A 500, 502, 503 or 504 without a Status means that kubectl proxy reached no API server.
    """
    status = Status.parse(body)
    if status:
        return HopFailed(_CODES.get(code, "cluster_failed"), status.message or _text(body), status)
    if code in _UNREACHABLE:
        why = kubectl.unreachable(_text(body) or f"kubectl proxy answered {code}")
        return HopFailed(why.code, why.message)
    return HopFailed("cluster_failed", f"{code}: {_text(body)}")


def is_proxys_own(response: Response) -> bool:
    """Returns True for an error that kubectl proxy has written itself, because it reached no API server: a text without
    the headers that an API server gives each answer.
    """
    names = {name for name, _ in response.headers}
    text = any(name == "content-type" and value.startswith("text/plain") for name, value in response.headers)
    return response.status in _UNREACHABLE and text and not names & {"audit-id", "cache-control"}


def unforwarded(code: int, body: bytes) -> HopFailed:
    """Returns the error in place of an answer that is about the way to the API server, or about the runner's credentials
    there: a client would take it for one about its own.
    """
    failed = refusal(code, body)
    return HopFailed(failed.code, failed.message)


async def pages(
    get: Callable[[str, int], Awaitable[tuple[dict[str, Any], int]]], path: str, size: int
) -> list[dict[str, Any]]:
    """Gets a list page by page and returns all its items that are objects. `get(path, size)` returns an object and
    how many bytes its answer had; `size` limits the bytes of all pages together. Raises what `get` raises.
    """
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


async def changes(
    exchange: Exchange,
    path: str,
    size: int,
    begin: AbstractAsyncContextManager[None],
    headers: Headers = HEADERS,
) -> AsyncGenerator[Event, None]:
    """Watches the list at `path`, and yields its events, of at most `size` bytes each. `begin`: is entered until the answer
    begins, and limits that. Raises HopFailed for an error status, and as `events`.
    """
    async with AsyncExitStack() as stack:
        async with begin:
            watched = with_query(path, {"watch": "true"})
            response = await stack.enter_async_context(exchange("GET", watched, headers))
        if response.status >= 300:
            raise refusal(response.status, await whole(response, size))
        async for event in events(response.body, size):
            yield event


async def events(chunks: AsyncIterator[bytes], size: int) -> AsyncGenerator[Event, None]:
    """Yields the events of a watch, one for each line of `chunks`. Raises HopFailed for a line that is not an event,
    for an ERROR event, and where more than `size` bytes come without the end of a line.
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
    """Returns path and body of the POST that asks whether the runner's account may do `verb` on `resource`, which may
    name a subresource behind a "/".
    """
    kind, _, part = resource.partition("/")
    asked = {"verb": verb, "resource": kind, "subresource": part, "namespace": namespace, "name": name}
    body = {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes": asked},
    }
    return _REVIEW, body


def reviewed(answer: Mapping[str, Any]) -> bool | None:
    """Returns whether the answer to a `review` allows the request; None where the answer does not decide."""
    status = answer.get("status")
    allowed = status.get("allowed") if isinstance(status, dict) else None
    return allowed if isinstance(allowed, bool) else None


async def may(
    post: Callable[[str, Headers, bytes], AbstractAsyncContextManager[Response]],
    asked: tuple[str, str, str, str],
) -> bool | None:
    """Sends a `review` of what is asked: (verb, resource, namespace, name), and returns what it allows. `post` sends path,
    headers and body. Raises HopFailed.
    """
    path, question = review(*asked)
    headers = (*HEADERS, ("Content-Type", "application/json"))
    async with post(path, headers, json.dumps(question).encode()) as response:
        return reviewed(decode(response.status, await whole(response, SIZE)))


def _event(line: bytes) -> Event:
    event = decode(200, line)
    kind, item = event.get("type"), event.get("object")
    if not isinstance(kind, str) or not isinstance(item, dict):
        raise HopFailed("cluster_failed", f"the API server sent an invalid event: {_text(line)}")
    if kind == "ERROR":
        code = item.get("code")
        raise refusal(code if isinstance(code, int) else 500, json.dumps(item).encode())
    return Event(kind, item)


def _text(body: bytes) -> str:
    return " ".join(body.decode("utf-8", "replace").split())[:_TEXT]
