"""Tells whether the other end of a socket has closed, also while nobody reads from the socket."""

import os
import select
import socket
from contextlib import suppress


def peer_closed(sock: socket.socket | None) -> bool:
    """Returns True if the peer has closed its side, or the socket is closed itself, as asyncio closes a socket after a
    reset before anybody hears of the end.
    """
    if sock is None or sock.fileno() < 0:
        return True
    watch = select.poll()
    # without POLLRDHUP, macOS reports POLLHUP for it to who asks for input, and others only where all is read
    watch.register(sock.fileno(), getattr(select, "POLLRDHUP", select.POLLIN))
    events = sum(found for _, found in watch.poll(0))
    return bool(events & ~select.POLLIN) or bool(events and _at_end(sock))


def _at_end(sock: socket.socket) -> bool:
    """Returns True if nothing is left to read but the end. Raises no error: a socket that has one reports it itself."""
    with suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as same:
        return not same.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return False
