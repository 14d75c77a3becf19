"""The peer of an aiohttp request, for what decides about it and knows no aiohttp."""

import socket

from aiohttp import web

from gateway.access.peer import Peer
from gateway.unix_peer import peer_uid


def peer_of(request: web.Request) -> Peer:
    """Returns the peer: on the Unix socket with the uid that the kernel gives."""
    sock: socket.socket | None = request.transport.get_extra_info("socket") if request.transport else None
    on_unix = sock is not None and sock.family == socket.AF_UNIX
    return Peer(peer_uid(sock) if sock is not None and on_unix else None, tuple(request.headers.items()))
