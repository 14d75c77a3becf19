"""Requests that pass on to a cluster while they are answered: how many an identity may have, and what ends them early."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from gateway.protocol.outcome import Outcome
from gateway.server.app_keys import IDENTITY
from gateway.server.connection import connection_of
from gateway.server.refusals import Refusal
from gateway.sessions.passed import PassedSessions


@dataclass(eq=False)
class Passing:
    """Holds one request that is being answered. `outcome`: the reason of its early end, if it ends early; `on_end` is called
    with it.
    """

    credential: str
    scope: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    outcome: Outcome | None = None
    on_end: Callable[[Outcome], None] = lambda _: None

    def end(self, outcome: Outcome) -> None:
        """Ends the request soon."""
        if not self.outcome:
            self.outcome = outcome
            self.on_end(outcome)
            self.scope.reschedule(asyncio.get_running_loop().time())


class Relayed:
    """Counts the requests that pass on, for each identity, and ends those whose client or credential is gone. `most`: as
    many as one identity may have at a time, watches included; `sessions`: those that have become connections of bytes.
    """

    def __init__(self, most: int, sessions: PassedSessions) -> None:
        self.sessions = sessions
        self._most = most
        self._passing: set[Passing] = set()
        self._counts: Counter[str] = Counter()

    @asynccontextmanager
    async def passing(self, request: web.Request) -> AsyncIterator[Passing]:
        """Counts the request while the body runs. Raises Refusal where its identity has too many, ConnectionError as soon
        as the client leaves, its credential is revoked, or the gateway stops: the body is cancelled then.
        """
        identity, connection = request[IDENTITY], connection_of(request)
        if self._counts[identity.name] >= self._most:
            raise Refusal(429, f"{identity.name} has {self._most} requests under way: end some first")
        one = Passing(identity.credential)
        self._passing.add(one)
        self._counts[identity.name] += 1
        try:
            async with one.scope:
                with connection.watched(lambda: one.end(Outcome("client_lost"))):
                    yield one
        except TimeoutError:
            if not one.outcome:
                raise
            raise ConnectionResetError(one.outcome.code) from None
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
                one.end(Outcome("access_revoked"))

    def end_all(self) -> None:
        """Ends every request: the gateway stops."""
        for one in self._passing:
            one.end(Outcome("shutdown"))
