"""Files and directories for the page, up and down, with progress and a hash. See the README of the protocol."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from aiohttp import hdrs, web

from gateway.access.identity import Identity
from gateway.copying.container import Container
from gateway.copying.entries import CopyFailed
from gateway.errors import HopFailed, Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.subprotocols import OWN
from gateway.protocol.target import Target
from gateway.server.app_keys import ACCESS, IDENTITY, IMPERSONATION, REGISTRY, TRANSFERS
from gateway.server.audit import AUDIT, write
from gateway.server.connection import connection_of
from gateway.server.files.commands import Commands
from gateway.server.files.moving import (
    checked_directory,
    checked_source,
    checked_target,
    discard,
    receive,
    resume,
    send,
    send_directory,
)
from gateway.server.files.transfer import Transfer
from gateway.server.lookup import resolve
from gateway.server.refusals import Refusal
from gateway.server.routes.clusters import cluster_api, requested_cluster
from gateway.server.routes.state import json_body

routes = web.RouteTableDef()
_LONGEST = 4096  # bytes of a path
_PART = 256 * 1024
_NOTICED = 0.2  # seconds in which an upload ends whose connection is cut


@routes.post("/gateway/v1/clusters/{cluster}/transfers")
async def new_transfer(request: web.Request) -> web.Response:
    """Looks at the file, and answers with a transfer that its owner may begin: with the one-use `url` of a download, or as
    the body of a PUT.
    """
    body = await json_body(request)
    way, path, name = (_text(body, key) for key in ("way", "path", "name"))
    if way not in ("download", "upload"):
        raise Refusal(400, "way is download or upload")
    if not path:
        raise Refusal(400, "path is empty: name a file, or a directory to upload to")
    if way == "upload" and (not name or "/" in name or name in (".", "..")):
        raise Refusal(400, "name is the file's own, without a directory")
    directory = way == "upload" and body.get("directory") is True
    async with _refusing(request):
        identity = request[IDENTITY]
        target = await _target(request, body)
        actor = request.app[IMPERSONATION].actor(identity, target.cluster)
        start = Commands(request.app[REGISTRY], identity, target, actor).start
        container = Container(start, f"{target.pod}/{target.container}")
        if way == "download":
            look, size = await container.look(path), None
            checked_source(look, path)
            total = look.file.size if look.file else None
        else:
            check = checked_directory if directory else checked_target
            path, look = await check(container, path, name)
            size = body.get("size")
            total = size if isinstance(size, int) and not isinstance(size, bool) else None
    transfer = Transfer(
        identity,
        target,
        "download" if way == "download" else "upload",
        container,
        look,
        path,
        total,
        directory,
    )
    request.app[TRANSFERS].add(transfer)
    url = {"url": f"/gateway/v1/downloads/{transfer.secret}"} if way == "download" else {}
    answer = {**transfer.body(), **url, "name": transfer.filename, "exists": look.kind == "file"}
    return web.json_response(answer, status=201)


@routes.get("/gateway/v1/transfers/{name}")
async def progress(request: web.Request) -> web.Response:
    """Answers how far a transfer of one's own is."""
    return web.json_response(_mine(request).body())


@routes.delete("/gateway/v1/transfers/{name}")
async def cancel(request: web.Request) -> web.Response:
    """Has a transfer of one's own end with its next bytes."""
    transfer = _mine(request)
    transfer.cancelled = True
    if transfer.state == "interrupted":
        transfer.set("failed", "the transfer was cancelled")
        await discard(transfer)
    return web.Response(status=204)


@routes.put("/gateway/v1/transfers/{name}")
async def upload(request: web.Request) -> web.Response:
    """Writes the body to the file that the transfer names, and answers once all of it is there."""
    transfer = _mine(request)
    if transfer.way != "upload" or not transfer.begin():
        raise Refusal(409, "this transfer is no upload, or has begun already")
    transfer.connection = request.transport
    modified = request.query.get("modified", "")
    async with _refusing(request, transfer):
        stamp = int(modified) if modified.isdecimal() and len(modified) < 12 else None
        await receive(transfer, request.content.iter_chunked(_PART), stamp)
    return web.json_response(transfer.body())


@routes.post("/gateway/v1/transfers/{name}/resume")
async def resume_upload(request: web.Request) -> web.Response:
    """Answers from which byte on the body of the next PUT is to be, after one that was interrupted; with `hop` and `message`
    while something is waited for still, and with the progress where all of it has come.
    """
    transfer = _mine(request)
    if transfer.state == "running" and transfer.connection:
        transfer.connection.abort()  # the browser has lost it, and the gateway has not noticed
        await asyncio.sleep(_NOTICED)
    if transfer.way == "upload" and transfer.state == "running":
        return web.json_response({"offset": None, "hop": "pod", "message": "what has come is checked"})
    if transfer.way == "upload" and transfer.state == "done":
        return web.json_response({"offset": None, **transfer.body()})
    if transfer.way != "upload" or transfer.state == "failed":
        raise Refusal(409, transfer.message or "this upload cannot be gone on with: begin it again")
    try:
        return web.json_response({"offset": await resume(transfer)})
    except HopFailed as error:
        return web.json_response({"offset": None, "hop": error.hop, "message": error.message})
    except Refused as error:
        raise Refusal.of(error.outcome()) from None


@routes.get("/gateway/v1/downloads/{secret}", allow_head=False)
async def download(request: web.Request) -> web.StreamResponse:
    """Sends the file that this URL of one use was made for. One that is cut ends without its last byte."""
    transfer = request.app[TRANSFERS].secret(request.match_info["secret"])
    if transfer is None or not _good(request, transfer.identity) or not transfer.begin():
        raise Refusal(404, "this download has been used, or has expired: begin it again in the page")
    request[IDENTITY] = transfer.identity
    connection_of(request).identified()
    name = quote(transfer.filename, safe="")
    response = web.StreamResponse(headers={
        hdrs.CONTENT_TYPE: "application/octet-stream",
        hdrs.CONTENT_DISPOSITION: f"attachment; filename*=UTF-8''{name}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    })  # fmt: skip
    response.content_length = (
        transfer.total or None
    )  # what has no size, as in /proc, has content all the same
    async with _refusing(request, transfer):
        await response.prepare(request)
        try:
            await (send if transfer.look.file else send_directory)(transfer, response.write)
        except (CopyFailed, Refused, HopFailed):
            if request.transport:
                request.transport.close()
            raise
        await response.write_eof()
    return response


@asynccontextmanager
async def _refusing(request: web.Request, transfer: Transfer | None = None) -> AsyncIterator[None]:
    """Makes refusals of what the block raises, and takes note in the transfer of how it ended."""
    try:
        yield
    except BadRequest as error:
        raise Refusal(400, str(error)) from None
    except CopyFailed as error:
        _failed(transfer, str(error))
        raise Refusal(409, str(error)) from None
    except (Refused, HopFailed) as error:
        _failed(transfer, str(error))
        request.app[AUDIT].refused(request, error.code, str(error))
        refusal = Refusal.of(error.outcome())
        interrupted = transfer and transfer.state == "interrupted"
        raise (Refusal(503, str(refusal)) if interrupted else refusal) from None
    except BaseException:
        _failed(transfer, "the connection to the browser was lost")
        raise
    finally:
        if transfer:
            write(
                f"file_{transfer.way}", request, target=str(transfer.target), outcome=transfer.state,
                message=transfer.message, bytes=transfer.done, verified=transfer.verified,
            )  # fmt: skip


def _failed(transfer: Transfer | None, why: str) -> None:
    if transfer and transfer.state == "running":
        transfer.set("failed", why)


def _good(request: web.Request, identity: Identity) -> bool:
    """Returns False once the credential with which a download was made has been revoked or has expired."""
    return not identity.credential or identity.credential in request.app[ACCESS].tokens.good()


def _mine(request: web.Request) -> Transfer:
    transfer = request.app[TRANSFERS].named(request.match_info["name"], request[IDENTITY])
    if transfer is None:
        raise Refusal(404, "there is no such transfer of yours: it has ended long ago")
    return transfer


async def _target(request: web.Request, body: dict[str, Any]) -> Target:
    """Returns the container that a request names, or else the pod's default. Raises BadRequest, Refused."""
    namespace, pod, container = (_text(body, key) for key in ("namespace", "pod", "container"))
    if "/" in pod or not namespace:
        raise BadRequest("name a pod, and its namespace")
    target = Target.parse(requested_cluster(request), namespace, pod, container or None)
    if container:
        return target
    request.app[REGISTRY].permit(request[IDENTITY], "get", target)
    return (await resolve(cluster_api(request, target.cluster), target, OWN, exact=True)).target


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str) or "\0" in value or len(value) > _LONGEST:
        raise Refusal(400, f"{key} must be text of at most {_LONGEST} characters")
    return value
