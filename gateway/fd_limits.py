"""File descriptors: a gateway that has none left would lose what its sessions keep in files, and hear no client."""

import errno
import os
import resource
from collections.abc import Callable
from contextlib import suppress

RESERVE = (
    32  # for connections to management hosts, clients that only ask, and what libraries open for a moment
)
EACH = 2  # that a session may open later: the files behind what waits for the client, and for the command
_MOST = 1 << 20  # as many as anybody needs, where the hard limit is infinite
_OPEN = ("/proc/self/fd", "/dev/fd")  # name each open descriptor: Linux; macOS and the BSDs
_NONE_LEFT = (errno.EMFILE, errno.ENFILE)


def raise_limit() -> None:
    """The soft limit becomes the hard one; a system that does not let us keeps what it has."""
    with suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _MOST if hard == resource.RLIM_INFINITY else hard
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def used() -> int:
    """Returns how many descriptors are open. Raises OSError where none is left to look with."""
    for names in _OPEN:
        try:
            return len(os.listdir(names))  # noqa: PTH208  # the names alone, at the price of one call
        except OSError as error:
            if error.errno in _NONE_LEFT:
                raise
    # nothing names them: a new one has the lowest number that is free, and few are free below the highest
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    return lowest


def room(sessions: int, reserve: int = RESERVE, count: Callable[[], int] = used) -> bool:
    """There are enough descriptors for so many sessions, those that are open among them, and for a reserve beside.
    `count` says how many are open.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        return limit == resource.RLIM_INFINITY or count() + EACH * sessions + reserve <= limit
    except OSError:
        return False
