"""Has a TCP listener prove that it is this user's gateway before a token goes there: anybody can own a port."""

import asyncio
import hashlib
import hmac
import http.client
import secrets
import socket
from urllib.parse import quote

from gateway.protocol.proof import PATH, listener_proof

_MOST = 200  # bytes of the answer


class Unproved(Exception):  # noqa: N818  # said of a listener, as HopFailed is of a hop
    """Raised for a listener that has not proved that it knows the token."""


def prove(sock: socket.socket, token: str, seconds: float) -> None:
    """Asks the listener at the other end for its proof. Leaves the socket connected for the next request, with a time
    limit of `seconds`. Raises Unproved, and OSError as the socket does.
    """
    address, port = sock.getpeername()[:2]
    sock.settimeout(seconds)
    nonce = secrets.token_hex(16)
    connection = http.client.HTTPConnection(f"[{address}]" if ":" in address else address, port)
    connection.sock = sock
    try:
        connection.request("GET", f"{PATH}?nonce={quote(nonce)}")
        response = connection.getresponse()
        answer = response.read(_MOST)
        stays = response.isclosed() and not response.will_close
    except http.client.HTTPException:
        raise Unproved(f"no gateway listens at {address} port {port}") from None
    right = listener_proof(hashlib.sha256(token.encode()).digest(), nonce, port)
    if response.status != 200 or not stays or not hmac.compare_digest(answer.strip(), right.encode()):
        raise Unproved(
            f"whoever listens at {address} port {port} does not know the token, which was not sent"
        )


async def prove_in_thread(sock: socket.socket, token: str, seconds: float) -> None:
    """Does the same for a non-blocking socket of the event loop. Closes the socket where it raises."""
    try:
        await asyncio.to_thread(prove, sock, token, seconds)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
