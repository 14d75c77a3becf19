"""Connects a program to a gateway: the running one, or one of its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.client import http
from gateway.client.cluster import Cluster
from gateway.client.curl.exchange import Reply
from gateway.client.curl.transfer import Asked, fetched
from gateway.client.curl.way import Trust, parse
from gateway.client.endpoint import Endpoint, gateway
from gateway.client.exchange import Body
from gateway.client.forward.spec import Wanted
from gateway.client.library.forwarded import Forwarded, forwarded
from gateway.client.library.pod import LIMIT, Place, Pod, Stdin
from gateway.client.library.running import Completed
from gateway.errors import Refused
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target
from gateway.settings.config import Config
from gateway.settings.loader import load

_OK = 200


@dataclass(frozen=True)
class HttpReply:
    """Holds a whole HTTP answer. `headers`: as they were written."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class Gateway:
    """A cluster behind a gateway."""

    def __init__(self, endpoint: Endpoint, cluster: str) -> None:
        self._endpoint = endpoint
        self._cluster = cluster

    def pod(self, name: str, *, namespace: str | None = None, container: str | None = None) -> Pod:
        """Describes a pod, or what leads to one: deploy/api, svc/web. Raises Refused for what is no name."""
        return Pod(self._endpoint, self._target(name, namespace, container))

    @property
    def runner(self) -> Place:
        """The runner itself: `run` and `exec` as a pod's, for who may."""
        return Place(self._endpoint, Target(self._cluster), "run")

    async def kubectl(
        self, argv: Sequence[str], *, stdin: Stdin = None, check: bool = False, timeout: float | None = None, limit: int = LIMIT
    ) -> Completed[bytes]:  # fmt: skip
        """Runs kubectl in the runner, in the right name. Returns and raises as `run`."""
        path = f"/gateway/v1/clusters/{quote(self._cluster, safe='')}/kubectl"
        begin = await asyncio.to_thread(http.answered, self._endpoint, "GET", path, _OK)
        return await self.runner.run(
            [*begin["argv"], *argv], stdin=stdin, check=check, timeout=timeout, limit=limit
        )

    @asynccontextmanager
    async def request(
        self, url: str, method: str = "", *, headers: Sequence[str] = (), body: Body | bytes | None = None, follow: bool = False,
        insecure: bool = False, ca: str = "", user: str = "", namespace: str = "",
    ) -> AsyncIterator[Reply]:  # fmt: skip
        """Makes an HTTP request from the runner, or with `svc/NAME/PATH` and `pod/NAME/PATH` through the cluster's API, and
        enters with the answer, whose body is read as it comes. `headers`: lines, as 'Accept: text/plain'. Raises CurlFailed,
        DapError.
        """
        try:
            if not namespace and parse(url, "x").api:
                namespace = await Cluster(self._endpoint, self._cluster).default_namespace()
            sent = Body.of(body) if isinstance(body, bytes) else body
            asked = Asked(
                url, self._cluster, method, tuple(headers), sent, user=user, follow=follow, namespace=namespace,
                trust=Trust(insecure, ca),
            )  # fmt: skip
            async with fetched(self._endpoint, asked) as reply:
                yield reply
        except BadRequest as error:
            raise Refused("bad_request", str(error)) from None

    async def curl(
        self, url: str, method: str = "", *, headers: Sequence[str] = (), body: Body | bytes | None = None, follow: bool = False,
        insecure: bool = False, ca: str = "", user: str = "", namespace: str = "", timeout: float | None = None, limit: int = LIMIT,
    ) -> HttpReply:  # fmt: skip
        """Makes an HTTP request as `request` does, and returns the whole answer, whatever its status. Raises TimeoutError too,
        and Refused for a body of more than `limit` bytes.
        """
        more = {
            "headers": headers,
            "body": body,
            "follow": follow,
            "insecure": insecure,
            "ca": ca,
            "user": user,
        }
        async with asyncio.timeout(timeout), self.request(url, method, namespace=namespace, **more) as reply:  # type: ignore[arg-type]  # as above
            content = bytearray()
            async for part in reply.body:
                content += part
                if len(content) > limit:
                    raise Refused(
                        "bad_request",
                        f"the answer has more than the {limit} bytes that are kept: use request",
                    )
            return HttpReply(reply.status, reply.headers, bytes(content))

    def port_forward(
        self, name: str, port: int | str, *, local: int = 0, namespace: str | None = None, address: str = "localhost",
        timeout: float = 60.0,
    ) -> AbstractAsyncContextManager[Forwarded]:  # fmt: skip
        """Forwards a port of this machine, by default any free one, to a pod's or a service's, and to the next pod when that
        one goes. `timeout`: seconds for the first pod to be found. Raises DapError, ConfigError for a local port of no use.
        """
        return forwarded(
            self._endpoint, Wanted(self._target(name, namespace, None), local, str(port)), address, timeout
        )

    async def get(self, path: str) -> dict[str, Any]:
        """Returns the object or list that the cluster's API has at `path`. Raises DapError."""
        return await Cluster(self._endpoint, self._cluster).get(path)

    def _target(self, name: str, namespace: str | None, container: str | None) -> Target:
        try:
            return Target.parse(self._cluster, namespace, name, container)
        except BadRequest as error:
            raise Refused("bad_request", str(error)) from None


@asynccontextmanager
async def connect(*, cluster: str = "default", config: Config | None = None) -> AsyncIterator[Gateway]:
    """Enters with the gateway that `dap` would use: the running one, the one that DAP_GATEWAY_URL names, or one inside this
    process that ends with the block and configures the process' log. Raises ConfigError, DapError.
    """
    async with gateway(config or load()) as endpoint:
        yield Gateway(endpoint, cluster)
