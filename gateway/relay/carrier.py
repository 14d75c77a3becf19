"""The carrier: the child of one `incus exec`. Hands its stdin and stdout to the daemon and lives as long as the link.

The kernel kills a daemon's children with it, but not theirs; so the carrier is told which sessions there are, and ends
them where the daemon has gone without a word.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

from . import place, process

_ANSWER = 10.0  # seconds for the daemon


class Refused(Exception):  # noqa: N818  # an answer
    """The daemon does not take the link."""


def hand_over(daemon: socket.socket, secret: str, announce: Callable[[], None]) -> None:
    """From here on the link is the daemon's. `announce` is called before its first byte can come. Raises Refused."""
    daemon.settimeout(_ANSWER)
    daemon.send(secret.encode())
    if daemon.recv(16) != b"ok":
        raise Refused("the relay that is there belongs to another gateway")
    announce()
    socket.send_fds(daemon, [b"link"], [0, 1])
    daemon.settimeout(None)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):  # the daemon has them now, and closes them when the link is over
        os.dup2(null, fd)


def wait(daemon: socket.socket) -> bool:
    """Until the link is over: yes when the daemon said so, no when it is gone; then its sessions have been ended."""
    sessions: set[int] = set()
    while True:
        try:
            said = daemon.recv(32)
        except OSError:
            said = b""
        if said == place.BYE:
            return True
        if not said:
            break
        (sessions.add if said[:1] == place.BEGUN else sessions.discard)(int(said[1:]))
    for leader in sessions:
        process.kill(process.members(leader), signal.SIGKILL)
    return False
