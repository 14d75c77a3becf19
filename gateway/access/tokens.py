"""Holds the tokens that prove who asks: the gateway's own token, tickets, page tokens, machines' and programs' short ones."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import replace

import structlog

from gateway.access.grants import Grant
from gateway.access.identity import Identity, owner
from gateway.access.page_tokens import PageFile, name_of
from gateway.access.peer import Peer
from gateway.access.scope import Scope
from gateway.protocol.proof import listener_proof

log = structlog.get_logger()
TICKET_LIFE = 300.0  # seconds
TOKEN_LIFE = 12 * 3600.0  # of a page token that nobody uses
SIGN_IN_LIFE = 30 * 24 * 3600.0  # of a page token, however much it is used
_SAVED = 2.0  # seconds for the file to be written
_LOOK = 0.005  # seconds between looks
SHORT_LIFE = 600.0  # of a token that a program gets for itself
_SHORT_EACH = 32  # of these that one person may have; the oldest goes first
_MOST = 10_000  # tickets or page tokens at a time; the oldest goes first


class Tokens:
    """Holds the gateway's own token, tickets (one use) and the tokens that can be revoked. Kept as hashes, in
    memory; all but tickets also in a file, if there is one, which the user's other gateways change too.
    """

    def __init__(
        self, own: str, clock: Callable[[], float] = time.time, file: PageFile | None = None
    ) -> None:
        self._own = _hash(own)
        self._clock = clock
        self._tickets: dict[bytes, Grant] = {}
        self._file = file
        self._pages = file.load() if file else {}
        self._stamp: tuple[int, int, int] | None = None  # of the file when `refresh` read it last
        self._stored: dict[bytes, float] = {}  # what it had then: hash and expiry
        self._dropped: set[bytes] = set()  # what was revoked here, until the file has it no more
        self._in_use: frozenset[str] = frozenset()  # names of credentials whose sessions live

    def identity(self, token: str, peer: Peer | None = None) -> Identity | None:
        """Returns whose bearer token this is; None for an unknown or expired token. `peer`: who has it."""
        digest = _hash(token)
        if hmac.compare_digest(digest, self._own):
            return Identity(owner(), "token")
        grant = self._pages.get(digest)
        if grant is None or grant.expires <= self._clock():
            return None
        if peer:
            grant.seen(peer)
        self._use(digest, grant)
        return grant.identity

    def proof(self, nonce: str, port: int) -> str:
        """Returns the proof that a listener on `port` knows the gateway's own token."""
        return listener_proof(self._own, nonce, port)

    def use(self, names: Collection[str]) -> None:
        """Renews the page tokens of these public names, which have opened what still lives: also a token that expired
        while the machine slept, but none whose sign-in has ended.
        """
        self._in_use = frozenset(names)
        parents = {grant.parent for grant in self._pages.values() if grant.name in names}
        for digest, grant in self._pages.items():
            if (grant.name in names or grant.name in parents) and grant.ends > self._clock():
                self._use(digest, grant)

    def _use(self, digest: bytes, grant: Grant) -> None:
        grant.used = self._clock()
        if grant.renew(grant.used, TOKEN_LIFE) and self._file:
            self._file.add(digest, grant)

    def ticket(self, identity: Identity, peer: Peer | None = None) -> str:
        """Returns a new ticket to trade for a page token, once, within TICKET_LIFE. `peer`: who asked for it."""
        secret, _ = self._new(self._tickets, identity, TICKET_LIFE, peer)
        return secret

    def trade(self, ticket: str, peer: Peer | None = None) -> tuple[str, Identity] | None:
        """Returns a new page token and whose it is; None for an unknown or expired ticket. Uses the ticket
        up, whatever comes of it.
        """
        found = self._tickets.pop(_hash(ticket), None)
        if found is None or found.expires <= self._clock():
            return None
        token, grant = self._new(self._pages, replace(found.identity, proof="page"), TOKEN_LIFE, peer)
        grant.ends = self._clock() + SIGN_IN_LIFE
        if self._file:
            self._file.add(_hash(token), grant)
        return token, grant.identity

    def short(self, identity: Identity, peer: Peer | None = None) -> tuple[str, Grant] | None:
        """Returns a new token for a program of this user, good for SHORT_LIFE, and its grant; None for whoever has shown
        such a token: a stolen one would last. It has no power over what is others', as a page has none, and ends with
        the credential that it was given for, whose scope it has.
        """
        if identity.proof == "short":
            return None
        held = [
            digest for digest, one in self._pages.items() if one.short and one.identity.name == identity.name
        ]
        for digest in held[: 1 - _SHORT_EACH]:
            self._drop(digest)
        rest = [
            one.expires - self._clock()
            for one in self.pages()
            if one.machine and one.name == identity.credential
        ]
        life = min([SHORT_LIFE, *rest])
        return self._lasting(replace(identity, proof="short"), life, peer, parent=identity.credential)

    def machine(
        self, name: str, scope: Scope, life: float, peer: Peer | None = None, groups: tuple[str, ...] = ()
    ) -> tuple[str, Grant] | None:
        """Returns a new token for a machine of this name, good in `scope` for `life` seconds, and its grant; None where
        a token of this name is good already.
        """
        if any(grant.machine and grant.identity.name == name for grant in self.pages()):
            return None
        return self._lasting(Identity(name, "machine", groups, scope=scope), life, peer)

    def revoke(self, token: str) -> None:
        """Ends a page token; other tokens are not touched."""
        self._drop(_hash(token))

    def revoke_named(self, name: str) -> None:
        """Ends the ticket or page token of this public name."""
        for digest in [*self._tickets, *self._pages]:
            if name_of(digest) == name:
                self._tickets.pop(digest, None)
                self._drop(digest)

    async def saved(self) -> bool:
        """Waits until the file has what was changed, at most `_SAVED` seconds: a later process of this gateway then
        knows what was revoked. Returns False, and logs, where it took longer; the changes are still to be written.
        """
        waited = 0.0
        while self._file and not self._file.saved:
            if waited >= _SAVED:
                log.warning("page_tokens_not_kept", error="pages.json is locked, or the disk does not answer")
                return False
            await asyncio.sleep(_LOOK)
            waited += _LOOK
        return True

    def good(self) -> frozenset[str]:
        """Returns the names of the tokens with which sessions may go on: those that are neither revoked nor expired, and
        short ones that are not revoked, were good when these sessions began, and were not given for a machine's token
        that has expired.
        """
        live = {grant.name for grant in self.pages()}
        shorts = [grant for grant in self._pages.values() if grant.short and grant.name in self._in_use]
        began = {grant.name for grant in shorts if grant.identity.scope is None or grant.parent in live}
        return frozenset(began | live)

    def pages(self) -> list[Grant]:
        """Returns what each page, machine or short token gives that is neither revoked nor expired, the oldest first."""
        return self._live(self._pages)

    def tickets(self) -> list[Grant]:
        """Returns what each ticket gives that is neither used nor expired, the oldest first."""
        return self._live(self._tickets)

    async def refresh(self) -> None:
        """Takes over what another gateway of this user has changed in the file: new page tokens, and those that were
        revoked. Waits for the disk, and for nobody's lock; a file that cannot be read changes nothing.
        """
        if self._file is None or (stamp := await asyncio.to_thread(self._file.stamp)) == self._stamp:
            return
        found = await asyncio.to_thread(self._file.read)
        if found is not None:
            self._stamp = stamp
            self._merge(self._file, found)

    def _merge(self, file: PageFile, found: dict[bytes, Grant]) -> None:
        now = self._clock()
        for digest, expires in self._stored.items():
            if digest not in found and expires > now:  # else whoever wrote the file left out what had expired
                self._drop(digest)  # with short tokens of which the other gateway did not know
        self._dropped &= found.keys()
        for digest in self._dropped:  # a renewal elsewhere has brought it back
            file.remove(digest)
        for digest, grant in found.items():
            if digest not in self._dropped and grant.expires > now:
                here = self._pages.setdefault(digest, grant)
                here.expires = max(here.expires, grant.expires)
        self._stored = {digest: grant.expires for digest, grant in found.items()}

    def _live(self, table: dict[bytes, Grant]) -> list[Grant]:
        now = self._clock()
        return [grant for grant in table.values() if grant.expires > now]

    def _drop(self, digest: bytes) -> None:
        dropped = self._pages.pop(digest, None)
        if dropped and self._file:
            self._dropped.add(digest)
            self._file.remove(digest)
        for child in [other for other, one in self._pages.items() if dropped and one.parent == dropped.name]:
            self._drop(child)

    def _lasting(
        self, identity: Identity, life: float, peer: Peer | None, parent: str = ""
    ) -> tuple[str, Grant]:
        """Returns a new token that nothing renews, and its grant, which is kept on disk."""
        token, grant = self._new(self._pages, identity, life, peer)
        grant.parent, grant.ends = parent, grant.expires
        if self._file:
            self._file.add(_hash(token), grant)
        return token, grant

    def _new(
        self, table: dict[bytes, Grant], identity: Identity, life: float, peer: Peer | None
    ) -> tuple[str, Grant]:
        now = self._clock()
        for digest in [digest for digest, grant in table.items() if grant.expires <= now]:
            if not (table[digest].short and table[digest].name in self._in_use):
                del table[digest]
        while len(table) >= _MOST:
            del table[next(iter(table))]
        secret = secrets.token_urlsafe(32)
        digest = _hash(secret)
        table[digest] = grant = Grant(replace(identity, credential=name_of(digest)), now + life)
        if peer:
            grant.seen(peer)
        return secret, grant


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
