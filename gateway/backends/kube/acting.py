"""Asks the API server in somebody's name: each request carries whom the runner's account impersonates."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
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

    async def watch(
        self, path: str, *, seconds: float = READ, size: int = SIZE
    ) -> AsyncGenerator[Event, None]:
        """See `ClusterApi.watch`."""
        watched = answers.with_query(path, {"watch": "true"})
        async with AsyncExitStack() as stack:
            async with answers.within(seconds):
                response = await stack.enter_async_context(self.request("GET", watched, answers.HEADERS))
                if response.status >= 300:
                    raise answers.refusal(response.status, await answers.whole(response, size))
            async for event in answers.events(response.body, size):
                yield event

    async def may(self, verb: str, resource: str, namespace: str, name: str) -> bool | None:
        """See `ClusterApi.may`."""
        path, question = answers.review(verb, resource, namespace, name)
        headers = (*answers.HEADERS, ("Content-Type", "application/json"))
        async with (
            answers.within(READ),
            self.request("POST", path, headers, json.dumps(question).encode()) as response,
        ):
            body = await answers.whole(response, SIZE)
        return answers.reviewed(answers.decode(response.status, body))
