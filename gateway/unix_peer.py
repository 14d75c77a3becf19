"""Connects to a Unix socket that is this user's or root's, and to none that is somebody else's.
Says which paths are too long for a Unix socket.
"""

import errno
import os
import socket
from pathlib import Path

from gateway.errors import ConfigError
from gateway.peer_credentials import peer_uid

MAX_PATH = 103  # bytes of a socket's path: sun_path has 104 on macOS and the BSDs, 108 on Linux, with its end


def check_path(path: Path) -> None:
    """Raises OSError, ENAMETOOLONG, where the path is longer than a Unix socket's may be on every system: a path that
    Linux takes and macOS does not would be an error that nobody here sees.
    """
    size = len(os.fsencode(path))
    if size > MAX_PATH:
        reason = f"the path of a Unix socket has at most {MAX_PATH} bytes, and this one has {size}"
        raise OSError(errno.ENAMETOOLONG, reason)


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
