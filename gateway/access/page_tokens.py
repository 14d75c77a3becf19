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

from gateway.access.identity import Identity

log = structlog.get_logger()


class PageFile:
    """Stores `pages.json` in the state directory, 0600, shared by all gateways of a user: each change is one
    file in place of another, under a lock. A file that cannot be read or written costs tabs a new sign-in
    after a restart, and the sessions that they had opened.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = directory / "pages.json"
        self._clock = clock

    def load(self) -> dict[bytes, tuple[Identity, float]]:
        """Returns, for the hash of each token that is still good, whose it is and the seconds that are left;
        nothing where the file cannot be read.
        """
        now = self._clock()
        entries = ((digest, *entry) for digest, entry in self._read().items())
        return {
            bytes.fromhex(digest): (Identity(name, "page", tuple(groups)), expires - now)
            for digest, name, groups, expires in entries
        }

    def add(self, digest: bytes, identity: Identity, life: float) -> None:
        """Stores a token that is good for `life` seconds. Logs a file that cannot be written."""
        entry = (identity.name, list(identity.groups), self._clock() + life)
        self._change(lambda entries: entries.update({digest.hex(): entry}))

    def remove(self, digest: bytes) -> None:
        """Removes a token that is not good any longer. Logs a file that cannot be written."""
        self._change(lambda entries: entries.pop(digest.hex(), None))

    def _read(self) -> dict[str, tuple[str, list[str], float]]:
        now = self._clock()
        with suppress(OSError, ValueError, TypeError, AttributeError):
            if self._path.stat().st_mode & 0o077 == 0:
                found = json.loads(self._path.read_text("utf-8"))
                return {
                    str(bytes.fromhex(digest).hex()): (
                        str(name),
                        [str(group) for group in groups],
                        float(expires),
                    )
                    for digest, (name, groups, expires) in found.items()
                    if float(expires) > now
                }
        return {}

    def _change(self, change: Callable[[dict[str, tuple[str, list[str], float]]], object]) -> None:
        try:
            handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(handle) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # for as long as a small file takes
                entries = self._read()
                change(entries)
                fresh = self._path.with_suffix(".new")
                fresh.unlink(missing_ok=True)
                with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    json.dump(entries, file)
                fresh.replace(self._path)
        except OSError as error:
            log.warning("page_tokens_not_kept", error=str(error))
