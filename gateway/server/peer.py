"""The peer of an aiohttp request, for what decides about it and knows no aiohttp."""

import socket
from dataclasses import replace

from aiohttp import web

from gateway.access.forwarded import TrustedProxies
from gateway.access.peer import Peer
from gateway.peer_credentials import peer_uid


def peer_of(request: web.Request, proxies: TrustedProxies) -> Peer:
    """Returns the peer: on the Unix socket with the uid that the kernel gives, which no header changes; over TCP with the
    address of the client behind `proxies`.
    """
    sock: socket.socket | None = request.transport.get_extra_info("socket") if request.transport else None
    lines = tuple(request.headers.items())
    if sock is None:
        return Peer(None, lines)
    if sock.family == socket.AF_UNIX:
        return Peer(peer_uid(sock), lines)
    assert request.transport
    name = request.transport.get_extra_info("peername")
    tls = request.transport.get_extra_info("ssl_object") is not None
    peer = Peer(None, lines, name[0] if name else "", tls)
    client = proxies.client(peer)
    return peer if client == peer.address else replace(peer, address=client)
