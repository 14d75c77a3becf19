"""What the kernel is asked about a connection, when there is none any more."""

import socket

from gateway.server.websocket.socket import Socket


def test_a_socket_that_was_closed_a_moment_ago_is_no_defect(monkeypatch):
    """After a reset asyncio closes it before anybody hears of the end."""
    websocket = Socket()
    gone = socket.socket()
    gone.close()
    monkeypatch.setattr(websocket, "get_extra_info", lambda _: gone)

    assert websocket.unacknowledged == 0.0
    assert websocket.hung_up
