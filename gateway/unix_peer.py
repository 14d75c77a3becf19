"""Tells who is at the other end of a Unix socket, as the kernel says, and connects to none that is somebody else's.
Says which paths are too long for a Unix socket.
"""

import errno
import os
import socket
import struct
import sys
from pathlib import Path

from gateway.errors import ConfigError

MAX_PATH = 103  # bytes of a socket's path: sun_path has 104 on macOS and the BSDs, 108 on Linux, with its end
_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED
# macOS and the BSDs, sys/un.h and sys/ucred.h: struct xucred begins with a version and the uid
_SOL_LOCAL, _LOCAL_PEERCRED, _LOCAL_PEERPID = 0, 1, 2
_XUCRED = struct.Struct("=Ii")
_XUCRED_SIZE = 76


def check_path(path: Path) -> None:
    """Raises OSError, ENAMETOOLONG, where the path is longer than a Unix socket's may be on every system: a path that
    Linux takes and macOS does not would be an error that nobody here sees.
    """
    size = len(os.fsencode(path))
    if size > MAX_PATH:
        reason = f"the path of a Unix socket has at most {MAX_PATH} bytes, and this one has {size}"
        raise OSError(errno.ENAMETOOLONG, reason)


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
    process that listens is anybody else's, who would read what is typed; OSError as connect(2) and `check_path`.
    """
    check_path(path)
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
