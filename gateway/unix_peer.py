"""Tells who is at the other end of a Unix socket, as the kernel says, and connects to none that is somebody else's."""

import os
import socket
import struct
import sys
from pathlib import Path

from gateway.errors import ConfigError

_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED
# macOS and the BSDs, sys/un.h and sys/ucred.h: struct xucred begins with a version and the uid
_SOL_LOCAL, _LOCAL_PEERCRED, _LOCAL_PEERPID = 0, 1, 2
_XUCRED = struct.Struct("=Ii")
_XUCRED_SIZE = 76


def peer_uid(sock: socket.socket) -> int:
    """Returns the uid of the process at the other end: of the one that connected, or that called listen(2)."""
    if sys.platform == "linux":
        return _ucred(sock)[1]
    raw = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_SIZE)
    uid: int = _XUCRED.unpack_from(raw)[1]
    return uid


def peer_pid(sock: socket.socket) -> int:
    """Returns the number of the process at the other end."""
    if sys.platform == "linux":
        return _ucred(sock)[0]
    return sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)


def connect(path: Path, seconds: float) -> socket.socket:
    """Returns a socket that is connected to a process of this user or of root. Raises ConfigError where the
    process that listens is anybody else's, who would read what is typed; OSError as connect(2).
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(str(path))
        _check_owner(path, peer_uid(sock))
    except BaseException:
        sock.close()
        raise
    return sock


def _check_owner(path: Path, uid: int) -> None:
    if uid not in (os.geteuid(), 0):
        raise ConfigError(
            f"{path} is not your gateway's socket: a process of uid {uid} listens there. Remove it, or set "
            "XDG_RUNTIME_DIR to a directory that nobody else can write to"
        )


if sys.platform == "linux":

    def _ucred(sock: socket.socket) -> tuple[int, int]:
        pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return pid, uid
