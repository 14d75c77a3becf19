"""Writes below a local directory, and nowhere else: each part of a name is opened by itself, and no link is followed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.copying.entries import Entry

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_HOLE = 64 * 1024  # bytes: a run of zeros of that size in a file with holes is a hole


class LocalFile:
    """A file that has not got its name yet. Its bytes are written in order."""

    def __init__(self, directory: int, name: str, mark: str, entry: Entry) -> None:
        self._directory = os.dup(directory)
        self._name = name
        self._beside = f".{name[:120]}.dap-{mark}"
        self._entry = entry
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._fd = os.open(self._beside, flags, 0o600, dir_fd=directory)
        self.written = 0

    def write(self, data: bytes) -> None:
        """Writes the next bytes. Raises OSError."""
        view = memoryview(data)
        step = _HOLE if self._entry.sparse else len(view) or 1
        for start in range(0, len(view), step):
            part = view[start : start + step]
            if self._entry.sparse and not bytes(part).strip(b"\0"):
                os.lseek(self._fd, len(part), os.SEEK_CUR)
            else:
                while part:
                    part = part[os.write(self._fd, part) :]
        self.written += len(view)

    def commit(self) -> None:
        """Gives the file its length, mode, time and name. Raises OSError."""
        os.ftruncate(self._fd, self.written)
        os.fchmod(self._fd, self._entry.mode & 0o777)
        os.utime(self._fd, (self._entry.mtime, self._entry.mtime))
        os.close(self._fd)
        self._fd = -1
        os.replace(self._beside, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._beside = ""

    def close(self) -> None:
        """Removes what has no name yet."""
        if self._fd >= 0:
            os.close(self._fd)
        if self._beside:
            with suppress(OSError):
                os.unlink(self._beside, dir_fd=self._directory)
        os.close(self._directory)


class LocalTree:
    """Writes below the directory `root`, which exists. `mark`: of names that nobody else has."""

    def __init__(self, root: Path, mark: str) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        self._mark = mark

    def close(self) -> None:
        """Lets the directory go."""
        os.close(self._root)

    @contextmanager
    def file(self, entry: Entry, name: str = "") -> Iterator[LocalFile]:
        """Enters with a new file for `entry`; what is not committed is removed. `name`: where it is to stand, in place of
        the entry's own name. Raises OSError.
        """
        path = name or entry.name
        with self._parent(path) as directory:
            made = LocalFile(directory, path.rpartition("/")[2], self._mark, entry)
        try:
            yield made
        finally:
            made.close()

    def directory(self, entry: Entry) -> None:
        """Makes a directory, where there is none. Raises OSError."""
        with self._parent(entry.name) as parent:
            last = entry.name.rpartition("/")[2]
            with suppress(FileExistsError):
                os.mkdir(last, 0o700, dir_fd=parent)
            os.close(os.open(last, _DIRECTORY, dir_fd=parent))

    def finish(self, entry: Entry) -> None:
        """Gives a directory its mode and time, once nothing more is written there. Raises OSError."""
        with self._parent(f"{entry.name}/." if entry.name else ".") as one:
            os.fchmod(one, entry.mode & 0o777)
            os.utime(one, (entry.mtime, entry.mtime))

    def link(self, name: str, leads_to: str) -> None:
        """Makes a link, in place of a file or link of that name. Raises OSError."""
        with self._parent(name) as parent:
            beside = f".{name.rpartition('/')[2][:120]}.dap-{self._mark}"
            os.symlink(leads_to, beside, dir_fd=parent)
            try:
                os.replace(beside, name.rpartition("/")[2], src_dir_fd=parent, dst_dir_fd=parent)
            except OSError:
                os.unlink(beside, dir_fd=parent)
                raise

    @contextmanager
    def _parent(self, name: str) -> Iterator[int]:
        """Enters with a descriptor of the directory that `name` stands in."""
        fd = os.dup(self._root)
        try:
            for part in name.split("/")[:-1]:
                below = os.open(part, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)
