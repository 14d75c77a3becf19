"""Reads local files and directories, to copy them elsewhere."""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from gateway.copying.container import BLOCK
from gateway.copying.entries import Changed, Entry

_PART = 256 * 1024


def entry_of(path: Path, name: str, *, follow: bool = False) -> Entry:
    """Returns the entry of a local path. `follow`: of what a link leads to. Raises OSError."""
    found = path.stat() if follow else path.lstat()
    return Entry.of(name, found.st_mode, found.st_size, int(found.st_mtime), found.st_blocks, found.st_ino)


def below(root: Path) -> list[Entry]:
    """Returns all that is below a directory, each directory before what is in it; no link is followed. Raises OSError."""
    found, waiting = list[Entry](), [""]
    while waiting:
        place = waiting.pop()
        for path in (root / place).iterdir():
            entry = entry_of(path, f"{place}/{path.name}" if place else path.name)
            found.append(entry)
            if entry.kind == "dir":
                waiting.append(entry.name)
    return sorted(found, key=lambda one: one.name.split("/"))


def pack(root: Path, entries: list[Entry], file: IO[bytes], grown: Callable[[str], None]) -> dict[str, str]:
    """Writes an archive of files, links and directories into `file`, and returns the SHA-256 of each file. Calls `grown` with
    the name of a file that has grown. Raises OSError, and Changed where a file is no more what its entry says.
    """
    hashes = {}
    with tarfile.open(fileobj=file, mode="w:", format=tarfile.GNU_FORMAT) as archive:
        for entry in entries:
            path = root / entry.name
            member = archive.gettarinfo(path, f"./{entry.name}" if entry.name else ".")
            member.uid = member.gid = 0
            member.mode &= 0o777
            member.uname = member.gname = ""
            if entry.kind != "file":
                archive.addfile(member)
                continue
            member.type, member.linkname, member.size = (
                tarfile.REGTYPE,
                "",
                entry.size,
            )  # a second name is a file of its own
            with path.open("rb") as content:
                hashed = _Hashed(content)
                try:
                    archive.addfile(member, hashed)
                except OSError as error:
                    if error.errno is not None:  # a disk's; tarfile's own, of a short file, has no number
                        raise
                    raise Changed from None
                if entry.grew(entry_of(path, entry.name)):
                    grown(entry.name)
            hashes[entry.name] = hashed.digest.hexdigest()
    return hashes


class _Hashed:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Returns the next bytes, which are hashed."""
        data = self._file.read(size)
        self.digest.update(data)
        return data


def extents(fd: int, size: int, *, sparse: bool) -> Iterator[tuple[int, int]]:
    """Yields the parts of a file that are no holes, as first and last block, the last one not included."""
    at = 0
    while at < size:
        if not sparse:
            yield 0, -(-size // BLOCK)
            return
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        at = os.lseek(fd, begin, os.SEEK_HOLE)
        yield begin // BLOCK, -(-at // BLOCK)
        at = -(-at // BLOCK) * BLOCK


def sha256(path: Path, size: int) -> str:
    """Returns the SHA-256 of the first `size` bytes of a file. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for part in parts(file, 0, size):
            digest.update(part)
    return digest.hexdigest()


def parts(file: IO[bytes], begin: int, end: int) -> Iterator[bytes]:
    """Yields the bytes of a file from `begin` to `end`, or to its end. Raises OSError."""
    file.seek(begin)
    while begin < end and (part := file.read(min(_PART, end - begin))):
        begin += len(part)
        yield part
