"""The API server through the relay: HTTP over streams of the link, to a `kubectl proxy` in the runner."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol

from gateway.backends.contract import READ, SIZE, ByteStream, Event, Headers, Response
from gateway.backends.kube import answers
from gateway.backends.kube.http_connection import Cut, Request
from gateway.backends.kube.http_pool import HttpPool, PooledResponse
from gateway.errors import HopFailed
from gateway.supervision import supervise

_REFUSED = "/api/v1/namespaces/-/pods/-/exec"  # answered by kubectl proxy itself, with 403
_PROBE = 2.0  # seconds for that
_YES = 60.0  # seconds
_NO_ANSWER = ("cluster_unreachable", "kubeconfig_missing")
_STALE = 5.0  # seconds that credentials are surely good for: younger, a 401 is the cluster's last word


class Proxy(Protocol):
    """What adds the runner's credentials to a request: a `kubectl proxy`, wherever it runs."""

    @property
    def age(self) -> float:
        """Seconds since the proxy began to listen."""
        ...

    def connection(self) -> AbstractAsyncContextManager[ByteStream]:
        """Connects to the proxy and starts one where none runs. Leaving closes the connection. Raises HopFailed."""
        ...

    def restart(self) -> None:
        """Ends the proxy that runs, with its connections; the next use starts another."""
        ...

    async def run(self) -> None:
        """Starts a proxy whenever one is wanted; never returns."""
        ...


class RelayApi:
    """See `ClusterApi`. Works inside `async with api.running():`."""

    watches = True

    def __init__(self, proxy: Proxy, link_failure: Callable[[], HopFailed | None]) -> None:
        self._proxy = proxy
        self._link_failure = link_failure
        self.restarts: dict[str, str] = {}  # see `supervise`
        self.asking = 0  # requests under way; a watch only until it has begun
        self._doubtful = False  # the last request got no answer
        self._allowed: dict[tuple[str, str, str, str], float] = {}  # what we may, and when that was said
        self._pool: HttpPool

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On leaving all connections and the proxy are closed, and no task is left."""
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(supervise("kubectl_proxy", self._proxy.run, self.restarts))
            self._pool = HttpPool(self._proxy.connection, tasks)
            try:
                yield
            finally:
                self._pool.close()
                keeper.cancel()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        seconds: float = READ,
    ) -> AsyncIterator[Response]:
        """See `ClusterApi.request`."""
        async with AsyncExitStack() as stack:
            async with self._asking(seconds):
                response = await stack.enter_async_context(self._exchange(method, path, headers, body))
            yield response

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """See `ClusterApi.get`."""
        async with self._asking(seconds):
            return (await answers.read(self._exchange, path, size))[0]

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """See `ClusterApi.list`."""
        async with self._asking(seconds):
            return await answers.pages(partial(answers.read, self._exchange), path, size)

    async def watch(
        self, path: str, *, seconds: float = READ, size: int = SIZE
    ) -> AsyncGenerator[Event, None]:
        """See `ClusterApi.watch`."""
        watched = answers.with_query(path, {"watch": "true"})
        async with self.request("GET", watched, answers.HEADERS, seconds=seconds) as response:
            if response.status >= 300:
                raise answers.refusal(response.status, await answers.whole(response, size))
            async for event in answers.events(response.body, size):
                yield event

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """See `ClusterApi.may`. The review is a POST that changes nothing; a yes is good for a minute."""
        asked, now = (verb, resource, namespace, name), time.monotonic()
        if now - self._allowed.get(asked, float("-inf")) < _YES:
            return True
        path, question = answers.review(*asked)
        async with self._asking(READ):
            body = json.dumps(question).encode()
            headers = (*answers.HEADERS, ("Content-Type", "application/json"))
            async with self._exchange("POST", path, headers, body, repeatable=True) as response:
                found = answers.decode(response.status, await answers.whole(response, SIZE))
        may = answers.reviewed(found)
        if may:
            self._allowed = {key: at for key, at in self._allowed.items() if now - at < _YES} | {asked: now}
        return may

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
        """Sends a request, for any time. `repeatable`: sent twice, it does no more than once."""
        request = Request(method, path, answers.end_to_end(headers), body)
        response = await self._answer(request, repeatable=repeatable or method in {"GET", "HEAD"})
        try:
            yield Response(response.status, response.headers, response)
        finally:
            response.close()

    async def _answer(self, request: Request, *, repeatable: bool) -> PooledResponse:
        """Its beginning. A proxy whose credentials have become old is asked again."""
        response = await self._send(request, repeatable=repeatable)
        if response.status == 401 and self._proxy.age > _STALE:
            self._restart()
            if isinstance(request.body, bytes):
                response.close()
                response = await self._send(request, repeatable=repeatable)
        return response

    async def _send(self, request: Request, *, repeatable: bool) -> PooledResponse:
        """Once more where the connection is cut: it may be an old one, of a proxy that has just ended."""
        try:
            return await self._pool.request(request)
        except Cut as cut:
            if not (cut.unsent or (repeatable and isinstance(request.body, bytes))):
                raise
            return await self._pool.request(request, fresh=True)

    @asynccontextmanager
    async def _asking(self, seconds: float) -> AsyncIterator[None]:
        """A time for all of it. Where there was no answer the next one looks first whether the proxy is well."""
        self.asking += 1
        try:
            async with answers.within(seconds):
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

    async def _probe(self) -> None:
        self._doubtful = False
        with suppress(TimeoutError, Cut):
            async with asyncio.timeout(_PROBE), self._exchange("GET", _REFUSED, ()) as response:
                if response.status == 403:
                    return
        self._restart()

    def _restart(self) -> None:
        """Has another proxy started; no request goes over a connection to the one that ends."""
        self._proxy.restart()
        self._pool.close_idle()
