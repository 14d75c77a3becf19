"""Holds the credentials of this gateway at its relays, in a file that one process has locked.

A second process takes throw-away credentials; its relay exits soon after the last link.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.backends.relay.live_sessions import LiveSessions
from gateway.settings.config import Limits

_KEY = 32  # bytes
_THROW_AWAY = 2.0  # seconds after which a relay exits that has neither a link nor sessions


@dataclass(frozen=True)
class RelayCredentials:
    """Identifies this gateway to its relays. `kept`: True if a later process of this gateway has the same
    credentials. `secret` is sent to every relay; `key` signs records of sessions, and no relay receives it. `live`:
    the sessions whose records are believed.
    """

    name: str
    secret: str
    key: bytes = field(repr=False)
    kept: bool
    live: LiveSessions = field(default_factory=LiveSessions, repr=False, compare=False)

    def settings(self, cluster: str, limits: Limits) -> dict[str, Any]:
        """Returns the settings that the relay of a cluster receives at its start; two clusters behind one runner have
        a relay each. `key` names the relay's directory, and is a hash of the secret, so that nobody else can create
        that name first.
        """
        key = hashlib.sha256(f"{self.name}\0{self.secret}\0{cluster}".encode()).hexdigest()[:24]
        return {
            "key": key,
            "secret": self.secret,
            **({} if self.kept else {"idle": _THROW_AWAY}),
            "memory": limits.journal_memory,
            "capacity": limits.journal_capacity,
            "spools": limits.spools,
            "spools_per_owner": limits.spools_per_identity,
        }


def throw_away() -> RelayCredentials:
    """Returns new random credentials, for this process only."""
    return RelayCredentials(
        secrets.token_hex(8), secrets.token_hex(32), secrets.token_bytes(_KEY), kept=False
    )


@contextmanager
def identity(directory: Path | None) -> Iterator[RelayCredentials]:
    """Yields the credentials in the directory, made where absent, and holds their lock until the block ends. Yields
    throw-away credentials where there is no directory, another process has the lock, or the file cannot be opened.
    """
    handle = _locked(directory) if directory else None
    if handle is None or directory is None:
        yield throw_away()
        return
    live = LiveSessions(directory / "relay-sessions")
    try:
        yield replace(_kept(handle), live=live)
    finally:
        live.close()
        os.close(handle)


def _locked(directory: Path) -> int | None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory / "relay", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _kept(handle: int) -> RelayCredentials:
    """Returns the credentials in the file. Makes and writes what the file lacks: an earlier version wrote no key."""
    made = replace(throw_away(), kept=True)
    with suppress(ValueError, KeyError, TypeError):
        stored = json.loads(os.pread(handle, 4096, 0))
        made = replace(made, name=str(stored["name"]), secret=str(stored["secret"]))
        key = bytes.fromhex(stored["key"])
        if len(key) == _KEY:
            return replace(made, key=key)
    os.ftruncate(handle, 0)
    text = json.dumps({"name": made.name, "secret": made.secret, "key": made.key.hex()})
    os.pwrite(handle, text.encode(), 0)
    return made
