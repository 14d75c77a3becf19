"""The peer of an aiohttp request, for what decides about it and knows no aiohttp."""

import socket
import struct

from aiohttp import web

from gateway.access.peer import Peer


def peer_of(request: web.Request) -> Peer:
    """Returns the peer: on the Unix socket with the uid that the kernel gives (unix(7), SO_PEERCRED)."""
    sock: socket.socket | None = request.transport.get_extra_info("socket") if request.transport else None
    on_unix = sock is not None and sock.family == socket.AF_UNIX
    return Peer(_uid(sock) if sock is not None and on_unix else None, tuple(request.headers.items()))


def _uid(sock: socket.socket) -> int:
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", raw)[1]
    return uid
