"""File descriptors: a gateway that has none left would lose what its sessions keep in files, and hear no client."""

import os
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

RESERVE = (
    32  # for connections to management hosts, clients that only ask, and what libraries open for a moment
)
EACH = 2  # that a session may open later: the files behind what waits for the client, and for the command
_MOST = 1 << 20  # as many as anybody needs, where the hard limit is infinite
_OPEN = next((path for path in (Path("/proc/self/fd"), Path("/dev/fd")) if path.is_dir()), None)


def raise_limit() -> None:
    """The soft limit becomes the hard one; a system that does not let us keeps what it has."""
    with suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _MOST if hard == resource.RLIM_INFINITY else hard
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def used() -> int:
    """Descriptors that are open; OSError when not even this can be looked at."""
    return len(os.listdir(_OPEN)) if _OPEN else 0  # noqa: PTH208  # the names alone, at the price of one call


def room(sessions: int, reserve: int = RESERVE, count: Callable[[], int] = used) -> bool:
    """There are enough descriptors for so many sessions, those that are open among them, and for a reserve beside.
    `count` says how many are open.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        return limit == resource.RLIM_INFINITY or count() + EACH * sessions + reserve <= limit
    except OSError:
        return False
