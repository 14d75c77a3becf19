"""Asks the API server in somebody's name: each request carries whom the runner's account impersonates."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from gateway.backends.contract import READ, SIZE, ClusterApi, Event, Headers, Response
from gateway.backends.kube import answers
from gateway.protocol.actor import Actor


class ActingApi:
    """Implements `ClusterApi` over another one that passes headers on, in the name of `actor`."""

    def __init__(self, api: ClusterApi, actor: Actor) -> None:
        self._api = api
        self._actor = actor

    @property
    def watches(self) -> bool:
        """See `ClusterApi.watches`."""
        return self._api.watches

    def acting(self, actor: Actor | None) -> ClusterApi:
        """See `ClusterApi.acting`."""
        return self._api.acting(actor)

    def request(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        upgrade: str = "",
        seconds: float | None = READ,
    ) -> AbstractAsyncContextManager[Response]:
        """See `ClusterApi.request`."""
        named = [*headers, *self._actor.headers]
        return self._api.request(method, path, named, body, upgrade=upgrade, seconds=seconds)

    async def get(self, path: str, *, seconds: float = READ, size: int = SIZE) -> dict[str, Any]:
        """See `ClusterApi.get`."""
        async with answers.within(seconds):
            return (await answers.read(self.request, path, size))[0]

    async def list(self, path: str, *, seconds: float = READ, size: int = SIZE) -> list[dict[str, Any]]:
        """See `ClusterApi.list`."""
        async with answers.within(seconds):
            return await answers.pages(partial(answers.read, self.request), path, size)

    def watch(self, path: str, *, seconds: float = READ, size: int = SIZE) -> AsyncGenerator[Event, None]:
        """See `ClusterApi.watch`."""
        return answers.changes(self.request, path, size, answers.within(seconds))

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """See `ClusterApi.may`."""
        async with answers.within(READ):
            return await answers.may(partial(self.request, "POST"), (verb, resource, namespace, name))
