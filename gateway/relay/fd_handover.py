"""The carrier: the child of one `incus exec`. Hands its stdin and stdout to the daemon and lives as long as the link.

The kernel kills a daemon's children with it, but not theirs; so the carrier is told which sessions there are, and ends
them where the daemon has gone without a word.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

from . import process, run_directory

_ANSWER = 10.0  # seconds for the daemon


class Refused(Exception):  # noqa: N818  # an answer
    """The daemon does not take the link."""


def greet(daemon: socket.socket, secret: str) -> int:
    """How many sessions it has that may be attached again. Raises Refused."""
    daemon.settimeout(_ANSWER)
    daemon.send(secret.encode())
    said = daemon.recv(32).split()
    if said[:1] != [b"ok"]:
        raise Refused("the relay that is there belongs to another gateway")
    return int(said[1])


def with_sessions(directory: str, version: str, secret: str) -> socket.socket | None:
    """Another version's daemon that speaks the same protocol and has sessions to go on with."""
    for name in run_directory.versions(directory, version):
        daemon = run_directory.connect(directory, name)
        try:
            if daemon and greet(daemon, secret):
                return daemon
        except (OSError, Refused):
            pass
        if daemon:
            daemon.close()
    return None


def hand_over(daemon: socket.socket, announce: Callable[[], None]) -> None:
    """From here on the link is the daemon's, which has been greeted. `announce` is called before its first byte can
    come.
    """
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
        if said == run_directory.BYE:
            return True
        if not said:
            break
        (sessions.add if said[:1] == run_directory.BEGUN else sessions.discard)(int(said[1:]))
    for leader in sessions:
        process.kill(process.members(leader), signal.SIGKILL)
    return False
