"""WebSockets that are no session's client: not yet, or refused."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.access.identity import Identity
from gateway.server.refusals import Refusal


class Upgrades:
    """Counts, for each identity, the WebSockets that no session has. `most`: as many as one identity may have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def waiting(self, identity: Identity) -> Iterator[None]:
        """Counts one within the block. Raises Refusal where the identity has too many."""
        name = identity.name
        if self._waiting[name] >= self._most:
            raise Refusal(429, f"{name} has {self._most} WebSockets that wait to be let in: try again")
        self._waiting[name] += 1
        try:
            yield
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name]
