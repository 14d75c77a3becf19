"""Requests that pass on to a cluster while they are answered: how many an identity may have, and what ends them early."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from gateway.server.app_keys import IDENTITY
from gateway.server.connection import connection_of
from gateway.server.refusals import Refusal


@dataclass(eq=False)
class _Passing:
    """Holds one request that is being answered. `why`: the reason of its early end; empty where it goes on."""

    credential: str
    scope: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    why: str = ""

    def end(self, why: str) -> None:
        """Ends the request soon."""
        if not self.why:
            self.why = why
            self.scope.reschedule(asyncio.get_running_loop().time())


class Relayed:
    """Counts the requests that pass on, for each identity, and ends those whose client or credential is gone. `most`: as
    many as one identity may have at a time, watches included.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._passing: set[_Passing] = set()
        self._counts: Counter[str] = Counter()

    @asynccontextmanager
    async def passing(self, request: web.Request) -> AsyncIterator[None]:
        """Counts the request while the body runs. Raises Refusal where its identity has too many, ConnectionError as soon
        as the client leaves, its credential is revoked, or the gateway stops: the body is cancelled then.
        """
        identity, connection = request[IDENTITY], connection_of(request)
        if self._counts[identity.name] >= self._most:
            raise Refusal(429, f"{identity.name} has {self._most} requests under way: end some first")
        one = _Passing(identity.credential)
        self._passing.add(one)
        self._counts[identity.name] += 1
        try:
            async with one.scope:
                with connection.watched(lambda: one.end("the client left")):
                    yield
        except TimeoutError:
            if not one.why:
                raise
            raise ConnectionResetError(one.why) from None
        finally:
            self._passing.discard(one)
            self._counts[identity.name] -= 1
            if not self._counts[identity.name]:
                del self._counts[identity.name]

    def credentials(self) -> set[str]:
        """Returns the public names of the credentials that requests pass on with."""
        return {one.credential for one in self._passing}

    def end_revoked(self, good: Collection[str]) -> None:
        """Ends every request whose credential is not among the `good` ones."""
        for one in self._passing:
            if one.credential and one.credential not in good:
                one.end("the credential was revoked or has expired")

    def end_all(self) -> None:
        """Ends every request: the gateway stops."""
        for one in self._passing:
            one.end("the gateway is being stopped")
