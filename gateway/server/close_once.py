"""Mends how asyncio closes a connection with TLS: after a second close its transport knows nothing of the connection, and
every question to it raises AttributeError, while the connection may wait for 30 s for its client's end.
"""

from asyncio.sslproto import _SSLProtocolTransport

_usual = _SSLProtocolTransport.close


def close_once() -> None:
    """Makes a second close do nothing, as without TLS, on all connections of the process."""
    _SSLProtocolTransport.close = _close  # type: ignore[method-assign, assignment]  # tests/test_insides.py


def _close(transport: _SSLProtocolTransport) -> None:
    if not transport.is_closing():
        _usual(transport)
