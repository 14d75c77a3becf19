"""Holds one transfer of a file between a browser and a container, and what is known of its progress."""

import asyncio
import hashlib
import posixpath
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.access.identity import Identity
from gateway.copying.container import Container, Look
from gateway.copying.entries import CopyFailed
from gateway.protocol.target import Target

LIFE = 300.0  # seconds for a transfer to begin, and for its end to be asked about
MOST = 32  # transfers of one identity that are kept

State = Literal["waiting", "running", "interrupted", "done", "failed"]


@dataclass(eq=False)
class Transfer:
    """Carries one file. `path`: its name in the container; `total`: bytes, as far as they are known; `done`: bytes that have
    passed; `verified`: the container has the same SHA-256; `grew`: the file is longer by now, and the bytes are those that were
    there at first; `message`: why it failed.
    """

    identity: Identity
    target: Target
    way: Literal["download", "upload"]
    container: Container
    look: Look
    path: str
    total: int | None
    directory: bool = False  # an upload is the archive of a directory
    connection: asyncio.Transport | None = None  # to the browser, of an upload
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    state: State = "waiting"
    done: int = 0
    hashed: int = 0  # bytes, of which some may be sent again
    sha256: str = ""
    verified: bool = False
    grew: bool = False
    message: str = ""
    changed: float = field(default_factory=time.monotonic)
    cancelled: bool = False
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def begin(self) -> bool:
        """Begins the transfer, or goes on with it. Returns False where it has begun before: it works once."""
        if self.state not in ("waiting", "interrupted") or self.cancelled:
            return False
        self.set("running")
        return True

    def set(self, state: State, message: str = "") -> None:
        """Takes note of a change."""
        self.state, self.message, self.changed = state, message, time.monotonic()

    def rewind(self, offset: int) -> None:
        """Takes note that the bytes from `offset` on will be sent again."""
        self.done, self.changed = offset, time.monotonic()

    @property
    def filename(self) -> str:
        """Returns the name that the browser gives to a download: of a directory an archive's."""
        name = posixpath.basename(posixpath.normpath(self.path))
        if self.look.kind != "dir":
            return name
        return f"{self.target.pod if name in ('.', '..') else name}.tar"

    @property
    def beside(self) -> str:
        """Returns the path of the file that an upload is written to before it has its name."""
        return posixpath.join(posixpath.dirname(self.path) or ".", f".dap-cp-{self.container.token}")

    def passed(self, data: bytes) -> None:
        """Takes note of bytes on their way. Raises CopyFailed once the transfer is cancelled."""
        if self.cancelled:
            raise CopyFailed("the transfer was cancelled")
        self.digest.update(data[max(0, self.hashed - self.done) :])
        self.done += len(data)
        self.hashed = max(self.hashed, self.done)
        self.changed = time.monotonic()

    def settle(self, *, verified: bool) -> None:
        """Takes note that the file is whole."""
        self.sha256, self.verified = self.digest.hexdigest(), verified
        self.set("done")

    @property
    def over(self) -> bool:
        """Returns True if nobody is likely to ask for the transfer any more."""
        return self.state != "running" and time.monotonic() - self.changed > LIFE

    def body(self) -> dict[str, Any]:
        """Returns what its owner is told."""
        known = {"transfer": self.name, "state": self.state, "path": self.path, "done": self.done}
        known |= {"total": self.total, "sha256": self.sha256, "verified": self.verified}
        return known | {"archive": self.look.kind == "dir", "grew": self.grew, "message": self.message}


class Transfers:
    """Holds the transfers of all identities."""

    def __init__(self) -> None:
        self._transfers: list[Transfer] = []

    def add(self, transfer: Transfer) -> None:
        """Keeps a transfer, and forgets those that are over, or are too many of this identity."""
        mine = [one for one in self._transfers if one.identity.name == transfer.identity.name]
        gone = {id(one) for one in self._transfers if one.over and one.state != "interrupted"}
        if len(mine) >= MOST:
            gone |= {id(one) for one in mine if one.state not in ("running", "interrupted")}
        self._transfers = [one for one in self._transfers if id(one) not in gone] + [transfer]

    def named(self, name: str, identity: Identity) -> Transfer | None:
        """Returns the identity's own transfer of this name."""
        mine = (one for one in self._transfers if one.identity == identity and not one.over)
        return next((one for one in mine if one.name == name), None)

    def abandoned(self) -> list[Transfer]:
        """Returns uploads that were interrupted, and that nobody has gone on with in time, and forgets them."""
        found = [one for one in self._transfers if one.over and one.state == "interrupted"]
        for one in found:
            one.set("failed", one.message)
        return found

    def secret(self, secret: str) -> Transfer | None:
        """Returns the download that this secret begins."""
        given = secret.encode("utf-8", "surrogateescape")
        waiting = (one for one in self._transfers if one.way == "download" and not one.over)
        return next((one for one in waiting if secrets.compare_digest(one.secret.encode(), given)), None)
