"""Tells who is at the other end of a Unix socket, as the kernel says. Imports little: `dap token` begins with this."""

import socket
import struct
import sys

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


if sys.platform == "linux":

    def _ucred(sock: socket.socket) -> tuple[int, int]:
        pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return pid, uid
