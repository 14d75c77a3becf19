"""Slows down whoever tries wrong tokens; a good token is never looked up here."""

import ipaddress
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

FREE = 10  # wrong tokens of an address that are answered at once
LONGEST = 2.0  # seconds that an answer waits: a connection without a credential may be idle for longer
FORGET = 300.0  # seconds without a wrong token, after which an address is forgotten
_FIRST = 0.1  # seconds that the first late answer waits; each further one waits twice as long
_MOST = 10_000  # addresses; the one that was silent for longest goes first


class _Tries(NamedTuple):
    wrong: int
    last: float


class WrongTokens:
    """Counts the wrong tokens of each address, of IPv6 of each /64, which one host has to itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: dict[str, _Tries] = {}  # by `last`, the oldest first

    def __len__(self) -> int:
        return len(self._tries)

    def delay(self, address: str) -> float:
        """Counts a wrong token and returns for how many seconds its answer is to wait."""
        now, network = self._clock(), network_of(address)
        self._forget(now)
        earlier = self._tries.pop(network, None)
        count = earlier.wrong + 1 if earlier else 1
        while len(self._tries) >= _MOST:
            del self._tries[next(iter(self._tries))]
        self._tries[network] = _Tries(count, now)
        late = count - FREE
        return min(_FIRST * 2 ** min(late - 1, 10), LONGEST) if late > 0 else 0.0

    def _forget(self, now: float) -> None:
        while self._tries:
            oldest = next(iter(self._tries))
            if now - self._tries[oldest].last < FORGET:
                return
            del self._tries[oldest]


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """Returns what one host has to itself: an IPv4 address, of IPv6 the /64; any other text as it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
