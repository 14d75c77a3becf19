"""Who is asking, from where, and may they. Nothing is trusted for where it comes from."""

import base64
import binascii
import hashlib
import hmac
import os
import pwd
import re
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from gateway.access.identity import Identity
from gateway.access.page_tokens import PageFile
from gateway.protocol.target import Command, Target
from gateway.server.refusals import Refusal

BEARER = "base64url.bearer.authorization.k8s.io."
TICKET_LIFE = 300.0  # seconds
TOKEN_LIFE = 12 * 3600.0
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_LOCAL = frozenset({"localhost"})
_NOBODY = frozenset[str]()
_OPERATORS = frozenset({"token", "uid"})  # proofs
_MOST = 10_000  # tickets or page tokens at a time; the oldest goes first


@dataclass(frozen=True)
class _Entry:
    identity: Identity
    expires: float


class Tokens:
    """The gateway's own token, tickets (one use) and page tokens (revocable). Kept as hashes, in memory; page
    tokens also in a file, if there is one.
    """

    def __init__(
        self, own: str, clock: Callable[[], float] = time.monotonic, file: PageFile | None = None
    ) -> None:
        self._own = _hash(own)
        self._clock = clock
        self._tickets: dict[bytes, _Entry] = {}
        self._file = file
        kept = file.load() if file else {}
        self._pages = {digest: _Entry(who, clock() + left) for digest, (who, left) in kept.items()}

    def identity(self, token: str) -> Identity | None:
        """Whose bearer token this is; None for an unknown or expired one."""
        digest = _hash(token)
        if hmac.compare_digest(digest, self._own):
            return Identity(owner(), "token")
        entry = self._pages.get(digest)
        return entry.identity if entry and entry.expires > self._clock() else None

    def ticket(self, identity: Identity) -> str:
        """A ticket to trade for a page token, once, within TICKET_LIFE."""
        return self._new(self._tickets, identity, TICKET_LIFE)

    def trade(self, ticket: str) -> tuple[str, Identity] | None:
        """The ticket is used up, whatever comes of it."""
        entry = self._tickets.pop(_hash(ticket), None)
        if entry is None or entry.expires <= self._clock():
            return None
        identity = Identity(entry.identity.name, "page", entry.identity.groups)
        token = self._new(self._pages, identity, TOKEN_LIFE)
        if self._file:
            self._file.add(_hash(token), identity, TOKEN_LIFE)
        return token, identity

    def revoke(self, token: str) -> None:
        """A page token ends; other tokens are not touched."""
        if self._pages.pop(_hash(token), None) and self._file:
            self._file.remove(_hash(token))

    def _new(self, table: dict[bytes, _Entry], identity: Identity, life: float) -> str:
        now = self._clock()
        for digest in [digest for digest, entry in table.items() if entry.expires <= now]:
            del table[digest]
        while len(table) >= _MOST:
            del table[next(iter(table))]
        secret = secrets.token_urlsafe(32)
        table[_hash(secret)] = _Entry(identity, now + life)
        return secret


def bearer(request: web.Request) -> str | None:
    """The token of the request, from the header or, for browsers, from the offered subprotocols.

    Raises Refusal(401) for what k8s.io/apiserver refuses too (authenticator websocket/protocol.go): two of
    them, one that is no base64url of UTF-8, or one beside no real subprotocol.
    """
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    if header[:7].lower() == "bearer ":
        return header[7:].strip()
    offered = offered_protocols(request)
    given = [name.removeprefix(BEARER) for name in offered if name.startswith(BEARER)]
    if not given:
        return None
    if len(given) > 1 or len(given) == len(offered):
        raise Refusal(401, "Unauthorized")
    try:
        if not _BASE64URL.fullmatch(given[0]):
            raise Refusal(401, "Unauthorized")
        return base64.urlsafe_b64decode(given[0] + "=" * (-len(given[0]) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeError):
        raise Refusal(401, "Unauthorized") from None


def offered_protocols(request: web.Request) -> list[str]:
    """All names of all Sec-WebSocket-Protocol lines, in order."""
    lines = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [name for line in lines for part in line.split(",") if (name := part.strip())]


def identify(request: web.Request, tokens: Tokens) -> Identity | None:
    """The one place that makes an Identity: the peer's uid on the Unix socket, else a bearer token."""
    if sock := _unix_socket(request):
        return _peer(sock)
    token = bearer(request)
    return tokens.identity(token) if token else None


def allowed(
    identity: Identity,
    verb: str,
    target: Target | None,
    command: Command | None,
    whose: Identity | None = None,
) -> bool:
    """The one decision. For now everyone who is somebody may exec in every pod, and do everything with what is their own,
    but over the Unix socket only the gateway's own user and root are somebody; `target` and `command` are what a policy
    will look at. `whose`: the session's owner. Another one's is for who runs the gateway: its user, and whoever has its
    own token; not for a page. So are links for others, and commands in the runner, where everybody's kubectl runs.
    """
    del target
    somebody = identity.proof != "uid" or identity.name in {owner(), _user(0)}
    if not somebody or identity.proof in _OPERATORS:
        return somebody
    reserved = verb in ("run", "ticket") or (command is not None and command.verb == "run")
    return not reserved and (whose is None or whose.name == identity.name)


@cache
def owner() -> str:
    """The gateway's own user, however it is proved: by the uid, by the token in its home, by a link that it made for
    itself. So its sessions are the same person's from everywhere.
    """
    return _user(os.getuid())


class AllowedHosts:
    """The Host and Origin allow-lists. Exact names with their ports: comparing Origin with Host alone would let a
    rebound DNS name through, since both carry it. On the Unix socket, where no browser and no proxy has business,
    the name is `localhost` and there are no Origins.
    """

    def __init__(
        self, listening: Iterable[str], public_url: str, hosts: Iterable[str], origins: Iterable[str]
    ) -> None:
        public = urlsplit(public_url).netloc
        self._hosts = {name.lower() for name in (*listening, *hosts, public) if name}
        self._origins = {name.lower().rstrip("/") for name in origins}
        self._origins |= {f"http://{name.lower()}" for name in (*listening, *hosts)}
        if public_url:
            parts = urlsplit(public_url)
            self._origins.add(f"{parts.scheme}://{parts.netloc}".lower())

    def refuse(self, request: web.Request) -> str | None:
        """Why this request may not come from where it says it comes; None when it may."""
        names, pages = (_LOCAL, _NOBODY) if _unix_socket(request) else (self._hosts, self._origins)
        hosts = request.headers.getall(hdrs.HOST, [])
        if len(hosts) != 1 or hosts[0].lower() not in names:
            return "the Host header is not one of this gateway's names: set DAP_GATEWAY_ALLOWED_HOSTS"
        origins = request.headers.getall(hdrs.ORIGIN, [])
        if any(origin.lower() not in pages for origin in origins):
            return "the Origin is not allowed: set DAP_GATEWAY_ALLOWED_ORIGINS"
        site = request.headers.get("Sec-Fetch-Site", "none")
        mode = request.headers.get("Sec-Fetch-Mode", "")
        if site not in ("none", "same-origin") and mode != "navigate" and not origins:
            return "a request from another site"
        return None


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _unix_socket(request: web.Request) -> socket.socket | None:
    sock: socket.socket | None = request.transport.get_extra_info("socket") if request.transport else None
    return sock if sock is not None and sock.family == socket.AF_UNIX else None


def _peer(sock: socket.socket) -> Identity:
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return Identity(_user(struct.unpack("3i", raw)[1]), "uid")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
