"""Asks the API server through the relay: HTTP over streams of the link, to a `kubectl proxy` in the runner."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

from gateway.backends.contract import READ, SIZE, ClusterApi, Event, Headers, Response
from gateway.backends.kube import answers
from gateway.backends.kube.acting import ActingApi
from gateway.backends.kube.http_connection import Cut, Request
from gateway.backends.kube.http_pool import HttpPool, PooledResponse
from gateway.backends.kube.proxy import Proxy
from gateway.backends.kube.reachability import Reachability
from gateway.errors import HopFailed
from gateway.protocol.actor import Actor
from gateway.supervision import supervise

_REFUSED = "/"  # answered by kubectl proxy itself, with 403
_PROBE = 2.0  # seconds for the answer to a request for _REFUSED
_RELAYED = (
    10_000  # requests of clients that may wait for their answers; the server bounds those of one identity
)
_YES = 60.0  # seconds that a permission is remembered
_SAFE = frozenset(("GET", "HEAD"))
_NO_ANSWER = ("cluster_unreachable", "kubeconfig_missing")
STALE = 5.0  # seconds: credentials may be out of date in an older proxy; a 401 from a younger proxy is final


class RelayApi:
    """Implements `ClusterApi` with a `Proxy`. Works inside `async with api.running():`. `link_failure`: returns the
    error of the link to the runner, if the link has failed.
    """

    watches = True

    def __init__(self, proxy: Proxy, link_failure: Callable[[], HopFailed | None]) -> None:
        self._proxy = proxy
        self._link_failure = link_failure
        self.restarts: dict[str, str] = {}  # see `supervise`
        self.asking = 0  # requests that wait for their answer; a watch counts until its answer begins
        self._doubtful = False  # the last request got no answer
        self._allowed: dict[tuple[str, str, str, str], float] = {}  # when each was last allowed
        self._pool: HttpPool

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the proxy supervised while the body runs. Leaving closes all connections and ends all tasks."""
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(supervise("kubectl_proxy", self._proxy.run, self.restarts))
            self._reachability = Reachability(self._ask_version, tasks)
            self._pool = HttpPool(self._proxy.connection, tasks)
            self._relayed = HttpPool(self._proxy.connection, tasks, most=_RELAYED)
            try:
                yield
            finally:
                self._pool.close()
                self._relayed.close()
                keeper.cancel()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        upgrade: str = "",
        seconds: float | None = READ,
    ) -> AsyncIterator[Response]:
        """See `ClusterApi.request`. Requests of clients have connections of their own: the gateway's own reads never
        wait for them.
        """
        request = Request(method, path, answers.end_to_end(headers), body, upgrade)
        async with AsyncExitStack() as stack:
            async with self._asking(seconds):
                response = await stack.enter_async_context(
                    self._exchanging(request, self._relayed, repeatable=method in _SAFE)
                )
                if answers.is_proxys_own(response) or response.status == 401:
                    raise answers.unforwarded(response.status, await answers.whole(response, SIZE))
            yield response

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """See `ClusterApi.get`."""
        async with self._asking(seconds):
            return (await answers.read(self._exchange, path, size))[0]

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """See `ClusterApi.list`."""
        async with self._asking(seconds):
            return await answers.pages(partial(answers.read, self._exchange), path, size)

    def watch(self, path: str, *, seconds: float = READ, size: int = SIZE) -> AsyncGenerator[Event, None]:
        """See `ClusterApi.watch`."""
        return answers.changes(self._exchange, path, size, self._asking(seconds))

    def acting(self, actor: Actor | None) -> ClusterApi:
        """See `ClusterApi.acting`."""
        return ActingApi(self, actor) if actor else self

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """See `ClusterApi.may`. Sends a SelfSubjectAccessReview, which changes nothing, and remembers a yes for a
        minute.
        """
        asked, now = (verb, resource, namespace, name), time.monotonic()
        if now - self._allowed.get(asked, float("-inf")) < _YES:
            return True
        async with self._asking(READ):
            may = await answers.may(partial(self._exchange, "POST", repeatable=True), asked)
        if may:
            self._allowed = {key: at for key, at in self._allowed.items() if now - at < _YES} | {asked: now}
        return may

    def forget(self) -> None:
        """Drops what was answered about another cluster."""
        self._allowed = {}

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        repeatable: bool = False,
    ) -> AsyncIterator[Response]:
        """Sends a request of the gateway's own, and yields its answer. See `_exchanging`."""
        request = Request(method, path, answers.end_to_end(headers), body)
        async with self._exchanging(
            request, self._pool, repeatable=repeatable or method in _SAFE
        ) as response:
            yield response

    @asynccontextmanager
    async def _exchanging(
        self, request: Request, pool: HttpPool, *, repeatable: bool
    ) -> AsyncIterator[Response]:
        """Sends a request over `pool`, without a time limit, and yields its answer; leaving closes the answer.
        `repeatable`: the request may be sent twice, as every GET and HEAD may.
        """
        answer = await self._answer(request, pool, repeatable=repeatable)
        response = Response(answer.status, answer.headers, answer, answer.stream, lambda: answer.ended)
        if request.path != _REFUSED and not answers.is_proxys_own(response):
            self._reachability.answered()
        try:
            yield response
        finally:
            answer.close()

    async def _answer(self, request: Request, pool: HttpPool, *, repeatable: bool) -> PooledResponse:
        """Sends a request and returns its answer. After a 401 from a proxy older than STALE, whose credentials may
        be out of date, restarts the proxy and sends the request again, unless its body is an iterator.
        """
        response = await self._send(request, pool, repeatable=repeatable)
        if response.status == 401 and self._proxy.age > STALE:
            self._restart()
            if isinstance(request.body, bytes):
                response.close()
                response = await self._send(request, pool, repeatable=repeatable)
        return response

    async def _send(self, request: Request, pool: HttpPool, *, repeatable: bool) -> PooledResponse:
        """Sends a request, and sends it again on a new connection where the connection was cut and a repetition is
        safe: the connection may have led to a proxy that has just ended. Raises Cut.
        """
        try:
            return await pool.request(request)
        except Cut as cut:
            if not (cut.unsent or (repeatable and isinstance(request.body, bytes))):
                raise
            return await pool.request(request, fresh=True)

    @asynccontextmanager
    async def _asking(self, seconds: float | None) -> AsyncIterator[None]:
        """Limits the body of the `async with` to `seconds` (see `ClusterApi.request`), after a probe of the proxy if the
        last request got no answer. Raises HopFailed in place of Cut, and the link's failure where that is why no answer
        came.
        """
        self.asking += 1
        try:
            async with self._reachability.required() if seconds is None else answers.within(seconds):
                if self._doubtful:
                    await self._probe()
                try:
                    yield
                except Cut as cut:
                    raise HopFailed("cluster_unreachable", f"kubectl proxy: {cut.why}") from None
        except HopFailed as error:
            self._doubtful = error.code in _NO_ANSWER and error.status is None
            raise (self._link_failure() if self._doubtful else None) or error from None
        finally:
            self.asking -= 1

    async def _ask_version(self) -> None:
        """Returns once the API server has answered, whatever its answer. Raises HopFailed where none is reached."""
        async with self._exchange("GET", "/version", ()) as response:
            body = await answers.whole(response, SIZE)
            if answers.is_proxys_own(response):
                raise answers.unforwarded(response.status, body)

    async def _probe(self) -> None:
        """Restarts the proxy unless it answers within _PROBE seconds."""
        self._doubtful = False
        with suppress(TimeoutError, Cut):
            async with asyncio.timeout(_PROBE), self._exchange("GET", _REFUSED, ()) as response:
                if response.status == 403:
                    return
        self._restart()

    def _restart(self) -> None:
        """Ends the running proxy and closes the idle connections to it."""
        self._proxy.restart()
        self._pool.close_idle()
        self._relayed.close_idle()
