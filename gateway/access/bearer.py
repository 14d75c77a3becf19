"""Finds out who asks: whose token a request has, or whose process is at the other end of the Unix socket. Nothing is
trusted for where it comes from.
"""

import base64
import binascii
import re

from gateway.access.identity import Identity, user
from gateway.access.peer import Peer
from gateway.access.tokens import Tokens

BEARER = "base64url.bearer.authorization.k8s.io."
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


class Unauthorized(Exception):  # noqa: N818  # an answer, not a defect
    """Raised for a credential that cannot be a token."""


def bearer(peer: Peer) -> str | None:
    """Returns the token of a request, from the header or, for browsers, from the offered subprotocols; None
    where there is no token.

    Raises Unauthorized for what k8s.io/apiserver refuses too (authenticator websocket/protocol.go): two
    tokens, a token that is no base64url of UTF-8, or a token beside no real subprotocol.
    """
    header = peer.first("Authorization")
    if header[:7].lower() == "bearer ":
        return header[7:].strip()
    offered = offered_protocols(peer)
    given = [name.removeprefix(BEARER) for name in offered if name.startswith(BEARER)]
    if not given:
        return None
    if len(given) > 1 or len(given) == len(offered) or not _BASE64URL.fullmatch(given[0]):
        raise Unauthorized
    try:
        return base64.urlsafe_b64decode(given[0] + "=" * (-len(given[0]) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeError):
        raise Unauthorized from None


def offered_protocols(peer: Peer) -> list[str]:
    """Returns all names of all Sec-WebSocket-Protocol lines, in order."""
    lines = peer.all("Sec-WebSocket-Protocol")
    return [name for line in lines for part in line.split(",") if (name := part.strip())]


def identify(peer: Peer, tokens: Tokens) -> Identity | None:
    """Returns who asks: the user of the process on the Unix socket, else whose bearer token the request has;
    None for nobody. Raises Unauthorized. No other function makes an Identity of a request.
    """
    if peer.uid is not None:
        return Identity(user(peer.uid), "uid")
    token = bearer(peer)
    return tokens.identity(token, peer) if token else None
