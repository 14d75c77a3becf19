"""The API server through the relay: aiohttp over streams of the link, to a `kubectl proxy` in the runner."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar

from gateway.backends.contract import READ, SIZE, ByteStream, Event
from gateway.backends.kube import answers
from gateway.backends.kube.connector import RelayConnector
from gateway.errors import HopFailed
from gateway.supervision import supervise

_HOST = "http://localhost"  # the Host that kubectl proxy wants to hear
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
        self._session: ClientSession

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On leaving all connections and the proxy are closed, and no task is left."""
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(supervise("kubectl_proxy", self._proxy.run, self.restarts))
            connector = RelayConnector(self._proxy.connection, tasks)
            unlimited = ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
            self._session = ClientSession(connector=connector, timeout=unlimited, cookie_jar=DummyCookieJar())
            try:
                yield
            finally:
                await self._session.close()
                keeper.cancel()

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """See `ClusterApi.get`."""
        async with self._asking(seconds):
            return (await self._get(path, size))[0]

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """See `ClusterApi.list`."""
        async with self._asking(seconds):
            return await answers.pages(self._get, path, size)

    async def watch(
        self, path: str, *, seconds: float = READ, size: int = SIZE
    ) -> AsyncGenerator[Event, None]:
        """See `ClusterApi.watch`."""
        async with self._asking(seconds):
            answer = await self._answer("GET", answers.with_query(path, {"watch": "true"}))
        try:
            if answer.status >= 300:
                raise answers.refusal(answer.status, await _body(answer, size))
            async for event in answers.events(answer.content.iter_any(), size):
                yield event
        except ClientError as error:
            raise HopFailed("cluster_lost", f"a watch was cut: {error}") from None
        finally:
            answer.close()

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """See `ClusterApi.may`. The review is a POST that changes nothing; a yes is good for a minute."""
        asked, now = (verb, resource, namespace, name), time.monotonic()
        if now - self._allowed.get(asked, float("-inf")) < _YES:
            return True
        path, question = answers.review(*asked)
        async with self._asking(READ):
            answer = await self._answer("POST", path, question)
            may = answers.reviewed(answers.decode(answer.status, await _body(answer, SIZE)))
        if may:
            self._allowed = {key: at for key, at in self._allowed.items() if now - at < _YES} | {asked: now}
        return may

    async def _get(self, path: str, size: int) -> tuple[dict[str, Any], int]:
        answer = await self._answer("GET", path)
        body = await _body(answer, size)
        return answers.decode(answer.status, body), len(body)

    async def _answer(self, method: str, path: str, question: dict[str, Any] | None = None) -> ClientResponse:
        """Its beginning. A proxy whose credentials have become old is asked again."""
        answer = await self._request(method, path, question)
        if answer.status == 401 and self._proxy.age > _STALE:
            answer.close()
            self._proxy.restart()
            answer = await self._request(method, path, question)
        return answer

    async def _request(self, method: str, path: str, question: dict[str, Any] | None) -> ClientResponse:
        """Once more where the connection is cut: it may be an old one, of a proxy that has just ended."""
        ask = partial(self._session.request, method, _HOST + path, json=question, allow_redirects=False)
        try:
            return await ask()
        except ClientError:
            return await ask()

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
                except ClientError as error:
                    raise HopFailed("cluster_unreachable", f"kubectl proxy: {error}") from None
        except HopFailed as error:
            self._doubtful = error.code in _NO_ANSWER and error.status is None
            raise (self._link_failure() if self._doubtful else None) or error from None
        finally:
            self.asking -= 1

    async def _probe(self) -> None:
        self._doubtful = False
        with suppress(TimeoutError, ClientError):
            async with asyncio.timeout(_PROBE), self._session.get(_HOST + _REFUSED) as answer:
                if answer.status == 403:
                    return
        self._proxy.restart()


async def _body(answer: ClientResponse, size: int) -> bytes:
    """All of it; the connection is free again then."""
    body = bytearray()
    try:
        async for data in answer.content.iter_any():
            body += data
            if len(body) > size:
                raise answers.too_much(size)
    finally:
        answer.release() if answer.content.at_eof() else answer.close()
    return bytes(body)
