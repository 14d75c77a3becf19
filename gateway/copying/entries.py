"""Describes what is copied: files, directories and links by their names below the directory that is copied; and refuses names
and links that lead out of it.
"""

import posixpath
import stat
from dataclasses import dataclass, field
from typing import Literal

from gateway.errors import DapError
from gateway.protocol.outcome import Hop

Kind = Literal["file", "dir", "link", "other"]
_KINDS: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
_LONGEST = 4096  # bytes of a path


class CopyFailed(DapError):  # noqa: N818  # said of a copy, as HopFailed is of a hop
    """Raised with a sentence about what cannot be copied."""

    def __init__(self, message: str) -> None:
        super().__init__("copy_failed", message)

    @property
    def hop(self) -> Hop:
        """Returns the client, which alone knows what a copy is."""
        return Hop.CLIENT


class Changed(Exception):  # noqa: N818
    """Raised where a file is no more what it was when its copy began, with words for what became of it."""

    def __init__(self, how: str = "changed while it was copied") -> None:
        super().__init__(how)


@dataclass(frozen=True)
class Entry:
    """Holds one name. `name`: relative, its parts separated by /; empty for what is copied itself. `mtime`: whole seconds;
    `sparse`: the file has holes; `inode`: 0 where nobody can tell.
    """

    name: str
    kind: Kind
    mode: int
    size: int
    mtime: int
    sparse: bool = False
    inode: int = 0

    @property
    def unread(self) -> bool:
        """True for a directory that the container could not read: its list has nothing but the name."""
        return self.kind == "other" and not self.inode

    def grew(self, now: "Entry") -> bool:
        """Returns True if the file is `now` longer, with all else as it was, as a log is. Raises Changed where it is another
        file, or shorter, or was written to.
        """
        if (now.size, now.mtime) == (self.size, self.mtime):  # some filesystems give an inode anew
            return False
        if now.inode != self.inode:
            raise Changed("was replaced by another file while it was copied")
        if now.size < self.size:
            raise Changed("became shorter while it was copied")
        if now.size == self.size:
            raise Changed
        return True

    @classmethod
    def of(cls, name: str, mode: int, size: int, mtime: int, blocks: int, inode: int) -> "Entry":
        """Returns the entry of what stat tells: `mode` with the kind in it, `blocks` of 512 bytes."""
        kind = _KINDS.get(stat.S_IFMT(mode), "other")
        return cls(name, kind, stat.S_IMODE(mode), size, mtime, kind == "file" and blocks * 512 < size, inode)


@dataclass
class CopyResult:
    """Holds what came of a copy. `unverified`: files whose SHA-256 was not compared; `skipped`: names that were not copied,
    each with the reason; `grown`: files that grew meanwhile, of which the copy has what was there at first.
    """

    files: int = 0
    bytes: int = 0
    sha256: str = ""  # of a single file
    unverified: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    grown: set[str] = field(default_factory=set)


def parsed(name: str, words: str) -> Entry:
    """Returns the entry that a line of stat describes: mode in hexadecimal, size, time, blocks of 512 bytes,
    inode. Raises ValueError.
    """
    mode, size, mtime, blocks, inode = words.split()
    return Entry.of(name, int(mode, 16), int(size), int(mtime), int(blocks), int(inode))


def refused_name(name: str) -> str:
    """Returns why a name from elsewhere is not used; empty for a name that leads below the directory."""
    parts = name.split("/")
    if name.startswith("/") or "\0" in name or any(part in ("", ".", "..") for part in parts):
        return "its name leads out of the directory"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "its name is not valid UTF-8"
    return "its name is too long" if size > _LONGEST else ""


def refused_link(name: str, leads_to: str) -> str:
    """Returns why a link is not made; empty for one that stays inside what is copied.

    It may climb at its beginning alone: a `..` behind another link would climb from where that one leads.
    """
    parts = leads_to.split("/")
    climbs = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    depth = len(posixpath.dirname(name).split("/")) if "/" in name else 0
    if leads_to.startswith("/") or not leads_to or climbs > depth or ".." in parts[climbs:]:
        return f"the link leads out of what is copied, to {leads_to}"
    return ""
