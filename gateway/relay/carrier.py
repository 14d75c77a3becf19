"""The carrier: the child of one `incus exec`. Hands its stdin and stdout to the daemon and lives as long as the link."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from . import place

_ANSWER = 10.0  # seconds for the daemon


class Refused(Exception):  # noqa: N818  # an answer
    """The daemon does not take the link."""


def carry(daemon: socket.socket, secret: str, announce: Callable[[], None]) -> bool:
    """Returns when the link is over: yes when the daemon said so, no when it is gone. `announce` is called before the
    first byte of the daemon can come.
    """
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
    try:
        return daemon.recv(16) == place.BYE
    except OSError:
        return False
