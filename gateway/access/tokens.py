"""Finds out who asks: the gateway's own token, tickets and page tokens, and the uid on the Unix socket.
Nothing is trusted for where it comes from.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.access.identity import Identity, owner, user
from gateway.access.page_tokens import PageFile
from gateway.access.peer import Peer

BEARER = "base64url.bearer.authorization.k8s.io."
TICKET_LIFE = 300.0  # seconds
TOKEN_LIFE = 12 * 3600.0
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_NAME = 10  # digits of a credential's public name
_MOST = 10_000  # tickets or page tokens at a time; the oldest goes first


class Unauthorized(Exception):  # noqa: N818  # an answer, not a defect
    """Raised for a credential that cannot be a token."""


@dataclass(frozen=True)
class _Entry:
    identity: Identity
    expires: float


class Tokens:
    """Holds the gateway's own token, tickets (one use) and page tokens (revocable). Kept as hashes, in
    memory; page tokens also in a file, if there is one.
    """

    def __init__(
        self, own: str, clock: Callable[[], float] = time.monotonic, file: PageFile | None = None
    ) -> None:
        self._own = _hash(own)
        self._clock = clock
        self._tickets: dict[bytes, _Entry] = {}
        self._file = file
        kept = file.load() if file else {}
        self._pages = {digest: _entry(digest, who, clock() + left) for digest, (who, left) in kept.items()}

    def identity(self, token: str) -> Identity | None:
        """Returns whose bearer token this is; None for an unknown or expired token."""
        digest = _hash(token)
        if hmac.compare_digest(digest, self._own):
            return Identity(owner(), "token")
        entry = self._pages.get(digest)
        return entry.identity if entry and entry.expires > self._clock() else None

    def ticket(self, identity: Identity) -> str:
        """Returns a new ticket to trade for a page token, once, within TICKET_LIFE."""
        return self._new(self._tickets, identity, TICKET_LIFE)

    def trade(self, ticket: str) -> tuple[str, Identity] | None:
        """Returns a new page token and whose it is; None for an unknown or expired ticket. Uses the ticket
        up, whatever comes of it.
        """
        entry = self._tickets.pop(_hash(ticket), None)
        if entry is None or entry.expires <= self._clock():
            return None
        identity = Identity(entry.identity.name, "page", entry.identity.groups)
        token = self._new(self._pages, identity, TOKEN_LIFE)
        if self._file:
            self._file.add(_hash(token), identity, TOKEN_LIFE)
        return token, identity

    def revoke(self, token: str) -> None:
        """Ends a page token; other tokens are not touched."""
        if self._pages.pop(_hash(token), None) and self._file:
            self._file.remove(_hash(token))

    def good(self) -> frozenset[str]:
        """Returns the names of the page tokens that are neither revoked nor expired."""
        now = self._clock()
        return frozenset(entry.identity.credential for entry in self._pages.values() if entry.expires > now)

    def _new(self, table: dict[bytes, _Entry], identity: Identity, life: float) -> str:
        now = self._clock()
        for digest in [digest for digest, entry in table.items() if entry.expires <= now]:
            del table[digest]
        while len(table) >= _MOST:
            del table[next(iter(table))]
        secret = secrets.token_urlsafe(32)
        digest = _hash(secret)
        table[digest] = _entry(digest, identity, now + life)
        return secret


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
    return tokens.identity(token) if token else None


def _entry(digest: bytes, identity: Identity, expires: float) -> _Entry:
    """Returns what is kept of a secret. The first digits of its hash are its name: stable, and of no use to get in."""
    return _Entry(replace(identity, credential=digest.hex()[:_NAME]), expires)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
