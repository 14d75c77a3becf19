"""The cluster's API, passed on: each request goes to the API server with the runner's credentials, and its answer comes
back as it is, while it comes.
"""

from collections.abc import AsyncIterator, Callable

from aiohttp import web
from aiohttp.http_writer import StreamWriter
from multidict import CIMultiDict

from gateway.backends.contract import Headers, Response
from gateway.errors import HopFailed, Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.outcome import Outcome
from gateway.protocol.request_info import PREFIXES, RequestInfo, request_info
from gateway.protocol.target import Target
from gateway.server import audit
from gateway.server.app_keys import BACKENDS, IDENTITY, REGISTRY, RELAYED
from gateway.server.audit import AUDIT
from gateway.server.forwarded_headers import forwarded
from gateway.server.refusals import Refusal
from gateway.server.relayed import Passing
from gateway.server.routes.clusters import cluster_api, requested_cluster
from gateway.server.routes.kube_upgrades import Asked, check_spdy, pass_session, slot_for, with_command

routes = web.RouteTableDef()
_READS = ("get", "list", "watch")


async def relay(request: web.Request) -> web.StreamResponse:
    """Passes one request on, and its answer back. Raises Refusal for what is refused before: by the policy, for its path
    or its headers, or because no API server answers.
    """
    cluster = requested_cluster(request)
    try:
        asked = await with_command(request, _asked(request, cluster))
        request.app[REGISTRY].permit(
            request[IDENTITY], asked.info.verb, asked.target, asked.command, info=asked.info
        )
        check_spdy(request, asked)
        _check_relayed(request, cluster)
        headers = forwarded(request.headers.items())
        async with request.app[RELAYED].passing(request) as passing:
            return await _passed(request, asked, headers, passing)
    except BadRequest as error:
        raise _refusal(request, Outcome("bad_request", str(error))) from None
    except (Refused, HopFailed) as error:
        raise _refusal(request, error.outcome()) from None


for _prefix in ("", "/clusters/{cluster}"):
    for _path in (path for name in PREFIXES for path in (name, f"{name}/{{rest:.*}}")):
        for _method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            routes.route(_method, f"{_prefix}/{_path}")(relay)


def _asked(request: web.Request, cluster: str) -> Asked:
    """Returns what the request asks for, with the path as the client wrote it, without what names the cluster. Raises
    BadRequest, also for a fragment, which is none to the API server: what it has would be missing in `request.query`.
    """
    raw = request.raw_path
    if "#" in raw:
        raise BadRequest("a request's path and query have no '#': write %23")
    if "cluster" in request.match_info:
        raw = "/" + "/".join(raw.split("/")[3:])
    path, _, query = raw.partition("?")
    info = request_info(request.method, path, query)
    return Asked(raw, info, _target(cluster, info, request))


def _check_relayed(request: web.Request, cluster: str) -> None:
    """Raises Refusal where the cluster's chain cannot pass requests on."""
    if not request.app[BACKENDS][cluster].kube.watches:
        raise Refusal(
            404 if request.method in ("GET", "HEAD") else 405,
            "this cluster is reached without a relay, so its API is not passed on, only what exec and attach read: "
            "the runner needs python3, see dap doctor",
        )


def _target(cluster: str, info: RequestInfo, request: web.Request) -> Target:
    """Returns the object of a request as the target that a policy knows: a pod by its name, another by kind and name."""
    if info.resource == "pods" and not info.group:
        return Target(cluster, info.namespace, info.name, request.query.get("container") or None)
    named = f"{info.resource}/{info.name}" if info.name else info.resource
    return Target(cluster, info.namespace, named)


async def _passed(
    request: web.Request, asked: Asked, headers: Headers, passing: Passing
) -> web.StreamResponse:
    api = cluster_api(request, asked.target.cluster)
    body = _body(request, asked) if request.can_read_body and not asked.upgrade else b""
    with slot_for(request, asked) as free:
        async with api.request(
            request.method, asked.path, headers, body, upgrade=asked.upgrade, seconds=None
        ) as response:
            _record(request, asked.info, asked.target, response)
            if response.stream:
                return await pass_session(request, response, asked, passing)
            free()
            return await _answer(request, response)


def _body(request: web.Request, asked: Asked) -> AsyncIterator[bytes]:
    """Returns the body as it comes."""
    record = None
    if asked.info.kind == "pods/ephemeralcontainers":
        recording = request.app[RELAYED].sessions.recording
        record = recording.debug_container(request[IDENTITY], asked.target)
    parts = aiter(request.content.iter_any())
    return _recorded(parts, record) if record else parts


async def _recorded(parts: AsyncIterator[bytes], record: Callable[[bytes], None]) -> AsyncIterator[bytes]:
    async for part in parts:
        record(part)
        yield part
    record(b"")


class _Answer(web.StreamResponse):
    """Sends the head with the first part of the body, which may be empty; a part of a short answer is all of it. A header
    line's bytes are those that came, each of which is a letter of `Headers`: aiohttp would make two of some.
    """

    _send_headers_immediately = False

    async def _write_headers(self) -> None:
        await super()._write_headers()
        writer = self._payload_writer
        assert isinstance(writer, StreamWriter)
        head = writer._headers_buf or b""  # noqa: SLF001  # aiohttp has no other name for it
        writer._headers_buf = head.decode().encode("latin-1")  # noqa: SLF001


async def _answer(request: web.Request, response: Response) -> web.StreamResponse:
    """Sends the answer as it comes. An answer that is cut ends without its last chunk, so that the client sees the cut."""
    answer = _Answer(status=response.status, headers=CIMultiDict(response.headers))
    # a page of a pod's must not act as a page of the gateway's
    answer.headers.setdefault("Content-Security-Policy", "sandbox")
    await answer.prepare(request)
    try:
        async for part in response.body:
            if response.ended():
                await answer.write_eof(part)
            else:
                await answer.write(part)
        await answer.write_eof()
    except HopFailed as error:
        if request.transport:
            request.transport.close()
        raise ConnectionResetError(str(error)) from None
    return answer


def _record(request: web.Request, info: RequestInfo, target: Target, response: Response) -> None:
    """Writes to the log what was asked for, and the answer's status: of reads one line a minute, of all else each."""
    if info.verb in _READS:
        request.app[AUDIT].read(request, str(target), info.path)
        return
    audit.write(
        "cluster_request",
        request,
        verb=info.verb,
        kind=info.kind,
        target=str(target),
        status=response.status,
    )


def _refusal(request: web.Request, outcome: Outcome) -> Refusal:
    """Records the refusal, and returns it with the Status of the outcome."""
    request.app[AUDIT].refused(request, outcome.code, outcome.message)
    return Refusal.of(outcome)
