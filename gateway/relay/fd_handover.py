"""Hands stdin and stdout of one `incus exec` to the daemon and lives as long as the link: the carrier, the
child of that exec.

The kernel kills a daemon's children with it, but not theirs; so the daemon sends the carrier the pid of each
session, and the carrier ends those sessions where the daemon died without BYE.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

from . import process, run_directory

_ANSWER = 10.0  # seconds for the daemon


class Refused(Exception):  # noqa: N818  # an answer
    """Raised when the daemon refuses the link."""


def greet(daemon: socket.socket, secret: str) -> int:
    """Sends the secret and returns how many resumable sessions the daemon has. Raises Refused for a wrong
    secret, OSError when the daemon does not answer in 10 s.
    """
    daemon.settimeout(_ANSWER)
    daemon.send(secret.encode())
    said = daemon.recv(32).split()
    if said[:1] != [b"ok"]:
        raise Refused("the relay that runs in this directory belongs to another gateway")
    return int(said[1])


def with_sessions(directory: str, version: str, secret: str) -> socket.socket | None:
    """Returns a connection to another version's daemon that speaks the same protocol and has sessions to
    resume; None where no such daemon takes the secret.
    """
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
    """Sends stdin and stdout to the greeted daemon, which owns the link from here on, and leaves /dev/null in
    their place. `announce` is called first, before the daemon's first byte can come.
    """
    announce()
    socket.send_fds(daemon, [b"link"], [0, 1])
    daemon.settimeout(None)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):  # the daemon has them now, and closes them when the link is over
        os.dup2(null, fd)


def wait(daemon: socket.socket) -> bool:
    """Waits until the link is over. True when the daemon sent BYE; False when the daemon is gone: its
    sessions have been killed then.
    """
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
