"""Who this gateway is to its relays: a random id and a secret, kept under a lock by the one process that has it.

A process that comes second takes a throw-away identity, whose relay goes soon after its last link.
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

from gateway.settings.config import Limits

_KEY = 32  # bytes
_THROW_AWAY = 2.0  # seconds that a relay without link and sessions waits for its gateway


@dataclass(frozen=True)
class RelayCredentials:
    """`kept`: a later process of this gateway will be the same. `key` signs records of sessions and is told to no relay,
    unlike `secret`.
    """

    name: str
    secret: str
    key: bytes = field(repr=False)
    kept: bool

    def settings(self, cluster: str, limits: Limits) -> dict[str, Any]:
        """What a relay is told; two clusters behind one runner have one each. The key names its directory, and nobody
        else can make it before.
        """
        key = hashlib.sha256(f"{self.name}\0{self.secret}\0{cluster}".encode()).hexdigest()[:24]
        return {
            "key": key,
            "secret": self.secret,
            **({} if self.kept else {"idle": _THROW_AWAY}),
            "memory": limits.journal_memory,
            "capacity": limits.journal_capacity,
        }


def throw_away() -> RelayCredentials:
    """For this process only."""
    return RelayCredentials(
        secrets.token_hex(8), secrets.token_hex(32), secrets.token_bytes(_KEY), kept=False
    )


@contextmanager
def identity(directory: Path | None) -> Iterator[RelayCredentials]:
    """The identity in the directory while the block has its lock, else a throw-away one."""
    handle = _locked(directory) if directory else None
    if handle is None:
        yield throw_away()
        return
    try:
        yield _kept(handle)
    finally:
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
    """Returns the credentials in the file. What the file lacks is made and written: an earlier version had no key."""
    made = replace(throw_away(), kept=True)
    with suppress(ValueError, KeyError, TypeError):
        found = json.loads(os.pread(handle, 4096, 0))
        made = replace(made, name=str(found["name"]), secret=str(found["secret"]))
        key = bytes.fromhex(found["key"])
        if len(key) == _KEY:
            return replace(made, key=key)
    os.ftruncate(handle, 0)
    text = json.dumps({"name": made.name, "secret": made.secret, "key": made.key.hex()})
    os.pwrite(handle, text.encode(), 0)
    return made
