"""Stores page tokens on disk, so that a tab outlives the gateway's restart: hashes, whose they are, and until
when.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from gateway.access.grants import Grant
from gateway.protocol.errors import BadRequest

log = structlog.get_logger()
_NAME = 10  # digits of a credential's public name


def name_of(digest: bytes) -> str:
    """Returns the public name of a secret with this hash: its first digits, stable, and of no use to get in."""
    return digest.hex()[:_NAME]


class PageFile:
    """Stores `pages.json` in the state directory, 0600, shared by all gateways of a user: each change is one
    file in place of another, under a lock. A file that cannot be read or written costs tabs a new sign-in
    after a restart, and the sessions that they had opened.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = directory / "pages.json"
        self._clock = clock

    def load(self) -> dict[bytes, Grant]:
        """Returns the grant for the hash of each token that is still good; nothing where the file cannot be read."""
        now = self._clock()
        with suppress(OSError, ValueError, TypeError, AttributeError, KeyError, BadRequest):
            if self._path.stat().st_mode & 0o077 == 0:
                found = {
                    (digest := bytes.fromhex(key)): Grant.parse(name_of(digest), body)
                    for key, body in json.loads(self._path.read_text("utf-8")).items()
                }
                return {digest: grant for digest, grant in found.items() if grant.expires > now}
        return {}

    def add(self, digest: bytes, grant: Grant) -> None:
        """Stores a token's grant. Logs a file that cannot be written."""
        self._change(lambda grants: grants.update({digest: grant}))

    def remove(self, digest: bytes) -> None:
        """Removes a token that is not good any longer. Logs a file that cannot be written."""
        self._change(lambda grants: grants.pop(digest, None))

    def _change(self, change: Callable[[dict[bytes, Grant]], object]) -> None:
        try:
            handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(handle) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # for as long as a small file takes
                grants = self.load()
                change(grants)
                fresh = self._path.with_suffix(".new")
                fresh.unlink(missing_ok=True)
                with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    json.dump({digest.hex(): grant.body() for digest, grant in grants.items()}, file)
                fresh.replace(self._path)
        except OSError as error:
            log.warning("page_tokens_not_kept", error=str(error))
