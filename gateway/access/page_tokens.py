"""Stores page tokens on disk, so that a tab outlives the gateway's restart: hashes, whose they are, and until
when.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from gateway.access.grants import Grant
from gateway.protocol.errors import BadRequest
from gateway.relay.writer import at_once

log = structlog.get_logger()
_NAME = 10  # digits of a credential's public name


def name_of(digest: bytes) -> str:
    """Returns the public name of a secret with this hash: its first digits, stable, and of no use to get in."""
    return digest.hex()[:_NAME]


class PageFile:
    """Stores `pages.json` in the state directory, 0600, shared by all gateways of a user: each change is one
    file in place of another, under a lock. A file that cannot be read or written costs tabs a new sign-in
    after a restart, and the sessions that they had opened. `put` runs what waits for the lock and for the disk.
    """

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], float] = time.time,
        put: Callable[[Callable[[], None]], None] = at_once,
    ) -> None:
        self._path = directory / "pages.json"
        self._clock = clock
        self._put = put
        self._mutex = threading.Lock()
        self._changes: dict[bytes, Grant | None] = {}  # None: removed
        self._saving = 0  # calls of `_save` that have not ended

    def load(self) -> dict[bytes, Grant]:
        """Returns the grant for the hash of each token that is still good; nothing where the file cannot be read."""
        now = self._clock()
        found = self.read() or {}
        return {digest: grant for digest, grant in found.items() if grant.expires > now}

    def read(self) -> dict[bytes, Grant] | None:
        """Returns what is in the file, expired or not; None where the file cannot be read."""
        with suppress(OSError, ValueError, TypeError, AttributeError, KeyError, BadRequest):
            if self._path.stat().st_mode & 0o077 == 0:
                return {
                    (digest := bytes.fromhex(key)): Grant.parse(name_of(digest), body)
                    for key, body in json.loads(self._path.read_text("utf-8")).items()
                }
        return None

    def stamp(self) -> tuple[int, int, int] | None:
        """Returns what is another after each change of the file; None where there is no file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def add(self, digest: bytes, grant: Grant) -> None:
        """Stores a token's grant. Logs a file that cannot be written."""
        self._change(digest, replace(grant))

    def remove(self, digest: bytes) -> None:
        """Removes a token that is not good any longer. Logs a file that cannot be written."""
        self._change(digest, None)

    @property
    def saved(self) -> bool:
        """Returns True if every change was written, or could not be written."""
        return not self._saving

    def _change(self, digest: bytes, grant: Grant | None) -> None:
        with self._mutex:
            self._changes[digest] = grant
            if self._saving > 1:  # one is under way, and the next takes this change along
                return
            self._saving += 1
        self._put(self._save)

    def _save(self) -> None:
        try:
            self._write()
        finally:
            with self._mutex:
                self._saving -= 1

    def _take_changes(self) -> dict[bytes, Grant | None]:
        with self._mutex:
            changes, self._changes = self._changes, {}
        return changes

    def _write(self) -> None:
        try:
            handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(handle) as lock:
                fcntl.flock(
                    lock, fcntl.LOCK_EX
                )  # as long as a small file takes, unless its holder was stopped
                grants = self.load()
                for digest, grant in self._take_changes().items():
                    if grant:
                        grants[digest] = grant
                    else:
                        grants.pop(digest, None)
                fresh = self._path.with_suffix(".new")
                fresh.unlink(missing_ok=True)
                with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    json.dump({digest.hex(): grant.body() for digest, grant in grants.items()}, file)
                fresh.replace(self._path)
        except OSError as error:
            log.warning("page_tokens_not_kept", error=str(error))
