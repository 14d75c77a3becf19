"""Fetches a URL: makes the request, follows redirects where that is asked, and tells the gateway's refusals from answers."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urljoin, urlsplit

from gateway import __version__
from gateway.client import http
from gateway.client.curl.exchange import Reply, exchanged
from gateway.client.curl.failure import REDIRECTS, SEND_AGAIN, URL, CurlFailed
from gateway.client.curl.way import Place, Trust, connected_to, parse
from gateway.client.endpoint import Endpoint
from gateway.client.exchange import Body, Headers, Request
from gateway.protocol.errors import BadRequest
from gateway.protocol.status import Status

_MOST = 50  # redirects, as curl's --max-redirs
_MOVED = (301, 302, 303, 307, 308)
_WRITTEN = "/!$&'()*+,;=:@%~?#[]"  # of a redirect's URL, as it was written
_SAME = (307, 308)  # the method and the body stay (RFC 9110, 15.4)
_SECRETS = ("authorization", "cookie")  # for the host alone that they were given for
_STATUS = 64 * 1024  # bytes of a Status


@dataclass(frozen=True)
class Asked:
    """Holds what is to be fetched. `method`: empty where the body decides; `user`: NAME:PASSWORD; `namespace`: of a name behind
    `svc/` or `pod/`; `file`: the name of what is sent, for a URL that ends without one; `headers`: of the caller, which take
    the place of ours, `NAME:` alone takes one away.
    """

    url: str
    cluster: str = "default"
    method: str = ""
    headers: tuple[str, ...] = ()
    body: Body | None = None
    form: bool = False
    user: str = field(default="", repr=False)
    follow: bool = False
    namespace: str = ""
    file: str = ""
    trust: Trust = field(default_factory=Trust)


@asynccontextmanager
async def fetched(
    endpoint: Endpoint, asked: Asked, passed: Callable[[Reply], None] = lambda _: None
) -> AsyncIterator[Reply]:
    """Enters with the answer of `asked`, whatever its status; leaving closes the connection. `passed` is called with each
    answer that is followed. Raises CurlFailed, GatewayFailed where a hop of ours is the reason, BadRequest.
    """
    place = parse(asked.url, asked.namespace)
    if asked.file and place.target.endswith("/") and "?" not in place.target:
        place = replace(place, target=place.target + quote(asked.file, safe=""))
    asked = replace(asked, user=asked.user or place.user)
    for _ in range(_MOST + 1):
        request = _request(endpoint, place, asked)
        async with (
            connected_to(endpoint, asked.cluster, place, asked.trust) as connection,
            exchanged(connection, request) as reply,
        ):
            where = reply.header("location") if asked.follow and reply.status in _MOVED else None
            if where is None:
                yield await _checked(reply) if place.api else reply
                return
            passed(reply)
        asked, place = _moved(asked, place, reply.status, where)
    raise CurlFailed(REDIRECTS, f"more than {_MOST} redirects")


def _request(endpoint: Endpoint, place: Place, asked: Asked) -> Request:
    method = asked.method or ("POST" if asked.body else "GET")
    if not place.api:
        return Request(method, place.target, _headers(place.authority, asked), asked.body)
    if asked.user or any(line.lower().startswith("authorization") for line in asked.headers):
        raise BadRequest(
            f"{place.host} is asked through the cluster's API, which gives nobody's credential to it: name its address, as in "
            "http://10.43.0.7:8080/"
        )
    url = urlsplit(endpoint.url)
    headers = [*_headers(url.netloc, asked), *endpoint.headers.items()]
    target = f"{url.path}/clusters/{quote(asked.cluster, safe='')}{place.target}"
    return Request(method, target, headers, asked.body)


def _headers(host: str, asked: Asked) -> Headers:
    """Returns the header lines: ours, but for those in whose place the caller has put another or none. Raises BadRequest."""
    ours = {"Host": host, "User-Agent": f"dap/{__version__}", "Accept": "*/*"}
    if asked.user:
        ours["Authorization"] = f"Basic {base64.b64encode(asked.user.encode()).decode()}"
    if asked.form:
        ours["Content-Type"] = "application/x-www-form-urlencoded"
    named, given = set(), []
    for line in asked.headers:
        name, colon, value = line.partition(":")
        if not colon and line.endswith(";"):  # as curl has it: an empty value
            name, value = line[:-1], ""
        elif not colon:
            raise BadRequest(f"the header {line[:80]!a} has no colon: write 'Name: value'")
        elif not value.strip():
            named.add(name.strip().lower())
            continue
        named.add(name.strip().lower())
        given.append((name.strip(), value.strip()))
    return [*((name, value) for name, value in ours.items() if name.lower() not in named), *given]


def _moved(asked: Asked, place: Place, status: int, where: str) -> tuple[Asked, Place]:
    """Returns what is asked for next, and where. What is secret stays with the host that it was for. Raises CurlFailed."""
    if status not in _SAME and (status == 303 or not asked.method):
        kept = asked.method if asked.method in ("GET", "HEAD") else ""
        asked = replace(asked, method=kept, body=None, form=False)
    elif asked.body and not asked.body.again:
        raise CurlFailed(
            SEND_AGAIN, f"redirected with {status}, but what was read from stdin cannot be sent again"
        )
    where = quote(where.encode("latin-1"), safe=_WRITTEN)  # its bytes, which a header may have as they are
    try:
        if place.api and not urlsplit(where).netloc:
            return asked, replace(place, target=urljoin(place.target, where).partition("#")[0])
        url = urljoin(f"{place.scheme}://{place.authority}{place.target}", where)
    except ValueError as error:
        raise CurlFailed(URL, f"redirected to {where!a}, which is no URL: {error}") from None
    following = parse(url, asked.namespace)
    if (following.scheme, following.host, following.port) != (place.scheme, place.host, place.port):
        lines = tuple(
            line for line in asked.headers if line.partition(":")[0].strip().lower() not in _SECRETS
        )
        asked = replace(asked, headers=lines, user=following.user)
    return asked, following


async def _checked(reply: Reply) -> Reply:
    """Returns the answer. Raises GatewayFailed for one that the gateway itself has made, for it or for another hop."""
    if reply.status < 400 or "json" not in (reply.header("content-type") or ""):
        return reply
    parts, size = [], 0
    async for part in reply.body:
        parts.append(part)
        size += len(part)
        if size > _STATUS:
            return replace(reply, body=_joined(parts, reply.body))
    said = Status.parse(b"".join(parts))
    if said and (reply.status == 401 or http.named(said.message)):
        raise http.refusal(reply.status, b"".join(parts))
    return replace(reply, body=_joined(parts, reply.body))


async def _joined(parts: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    async for part in rest:
        yield part
