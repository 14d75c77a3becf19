"""Reads known_hosts files line by line, and finds the lines of one name, as OpenSSH's hostfile.c and match.c do.

asyncssh reads such a file as a whole: one line that it cannot read ends the reading, and a line of the host's address
counts beside the host's name.
"""

import hashlib
import hmac
import os
from binascii import Error as NoBase64
from binascii import a2b_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import asyncssh

from gateway.backends.ssh.host_key import HostKey, read_host_key

_NAMED_BY_SIGNATURE = {b"rsa-sha2-256": b"ssh-rsa", b"rsa-sha2-512": b"ssh-rsa"}  # ssh takes these for types
_LONGEST_PATTERN = 1022  # bytes; match.c gives up on a list with a longer pattern

Bad = tuple[int, str]
"""The number of a line that cannot be read, and why."""


class Entry(NamedTuple):
    """A line of a known_hosts file, split into its parts; its key is not parsed yet."""

    number: int
    marker: str  # "", "cert-authority" or "revoked"
    names: bytes
    salted: tuple[bytes, bytes] | None  # salt and hash of a name that is hashed
    blob: bytes  # the key


@dataclass(frozen=True)
class Line:
    """A line that matches the name of a search."""

    where: str  # file:number
    marker: str
    pinned: HostKey  # an authority's or a host's key; a certificate has no effect here unless it is revoked


@dataclass(frozen=True)
class KnownHosts:
    """The lines of a known_hosts file, or of the output of KnownHostsCommand."""

    source: str
    entries: Sequence[Entry]
    bad: Sequence[Bad]

    def find(self, name: str) -> tuple[list[Line], list[Bad]]:
        """Returns the lines that match `name`, in order, and the matching lines whose key cannot be read."""
        lines: list[Line] = []
        bad: list[Bad] = []
        for entry in self.entries:
            if _has_name(entry, name):
                try:
                    pinned = read_host_key(entry.blob)
                except ValueError as error:
                    bad.append((entry.number, f"a key that cannot be read: {error}"))
                else:
                    lines.append(Line(f"{self.source}:{entry.number}", entry.marker, pinned))
        return lines, bad

    def elsewhere(self, key: asyncssh.SSHKey) -> Iterator[str]:
        """Yields `file:number (names)` of each line that trusts this key, under any name."""
        blob = key.public_data
        for entry in self.entries:
            if not entry.marker and entry.blob == blob:
                names = "a hashed name" if entry.salted else entry.names.decode("utf-8", "backslashreplace")
                yield f"{self.source}:{entry.number} ({names})"


def read(source: str, data: bytes) -> KnownHosts:
    """Returns the lines of a file, and in `bad` the lines that cannot be read. Trusts only lines that ssh would
    trust.
    """
    entries: list[Entry] = []
    bad: list[Bad] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            text = line.partition(b"\0")[0]  # where a line of C ends
            entry = _entry(number, text.replace(b"\t", b" ").lstrip(b" "))
        except ValueError as error:
            bad.append((number, str(error)))
        else:
            entries += [entry] if entry else []
            bad += [(number, "a NUL byte")] if b"\0" in line else []
    return KnownHosts(source, entries, bad)


def _entry(number: int, line: bytes) -> Entry | None:
    """Returns the parts of a line; None for a comment and an empty line. Raises ValueError for a bad line."""
    if not line.strip() or line.startswith(b"#"):
        return None
    marker = b""
    if line.startswith(b"@"):
        marker, line = _word(line)
        if marker not in (b"@cert-authority", b"@revoked") or line.startswith(b"@"):
            raise ValueError("an unknown marker")
    names, rest = _word(line)
    kind, rest = _word(rest)
    blob = key_blob(kind, _word(rest)[0])
    salted = _salted(names) if names.startswith(b"|") else None
    return Entry(number, marker[1:].decode(), names, salted, blob)


def _word(line: bytes) -> tuple[bytes, bytes]:
    word, _, rest = line.partition(b" ")
    return word, rest.lstrip(b" ")


def key_blob(kind: bytes, text: bytes) -> bytes:
    """Returns the key in the base64 `text`. Raises ValueError where `text` is no key of type `kind`."""
    if not text:
        raise ValueError("a name, a key type and a key are not all there")
    try:
        blob = a2b_base64(b"".join(text.split()), strict_mode=True)
    except NoBase64:
        raise ValueError("no base64 where the key should be") from None
    kind = _NAMED_BY_SIGNATURE.get(kind, kind)
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind):
        raise ValueError("a key of another type than the line says")
    return blob


def _salted(names: bytes) -> tuple[bytes, bytes]:
    try:
        _, magic, salt, digest = names.split(b"|")
        found = a2b_base64(salt, strict_mode=True), a2b_base64(digest, strict_mode=True)
    except (ValueError, NoBase64):
        raise ValueError("a hashed name that cannot be read") from None
    if magic != b"1" or len(found[0]) != hashlib.sha1(usedforsecurity=False).digest_size:
        raise ValueError("a hashed name of an unknown kind")
    return found


def _has_name(entry: Entry, name: str) -> bool:
    text = os.fsencode(name)
    if entry.salted:
        salt, digest = entry.salted
        return hmac.compare_digest(hmac.digest(salt, text, "sha1"), digest)
    return _in_list(entry.names.lower(), text.lower())


def _in_list(patterns: bytes, name: bytes) -> bool:
    """Returns True where a pattern of the list matches the name, and no pattern that begins with "!" does."""
    if name not in patterns and not any(byte in patterns for byte in b"*?"):
        return False
    found = False
    for pattern in patterns.split(b","):
        if len(pattern) > _LONGEST_PATTERN:
            return False
        if pattern.startswith(b"!"):
            if _fits(pattern[1:], name):
                return False
        else:
            found = found or _fits(pattern, name)
    return found


def _fits(pattern: bytes, name: bytes) -> bool:
    """Returns True where the pattern, with `*` for any bytes and `?` for one byte, matches the name; brackets are
    literal.
    """
    if not all(part in name for part in pattern.replace(b"?", b"*").split(b"*")):
        return False  # sorts out nearly all lines of a long file quickly
    at, star, mark, here = 0, -1, 0, 0
    while here < len(name):
        if at < len(pattern) and pattern[at : at + 1] == b"*":
            star, mark = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in (name[here], ord("?")):
            at, here = at + 1, here + 1
        elif star >= 0:
            mark += 1
            at, here = star + 1, mark
        else:
            return False
    return not pattern[at:].strip(b"*")
