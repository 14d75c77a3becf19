"""A file for the log of a gateway that runs inside a command: private, and of bounded size."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

SIZE = 4 << 20  # bytes; then the file becomes NAME.1, in place of the one before


class LogFile:
    """Appends lines to a file that several processes may write. What cannot be written raises OSError, as for any file."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        self._path = path
        self._size = size
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = self._open()

    def write(self, text: str) -> int:
        """Appends the text, a whole line, to the file; to a fresh one where the file is full or was moved."""
        if self._fd < 0:
            raise ValueError("the log is closed")
        now = os.fstat(self._fd)
        if now.st_size >= self._size or not self._is_at_path(now):
            self._rotate()
        data = text.encode("utf-8", "backslashreplace")
        os.write(self._fd, data)
        return len(text)

    def flush(self) -> None:
        """Does nothing: each line is written at once."""

    def close(self) -> None:
        """Closes the file; a line that comes later is lost."""
        os.close(self._fd)
        self._fd = -1

    def _open(self) -> int:
        flags = (
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        )  # no pipe is waited for
        fd = os.open(self._path, flags, 0o600)
        with suppress(OSError):
            os.fchmod(fd, 0o600)
        return fd

    def _rotate(self) -> None:
        """Moves the file away, unless another process does or has done so, and opens the one that is there then."""
        with suppress(OSError):  # locked by another, which moves it
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_at_path(os.fstat(self._fd)):
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        fresh = self._open()
        os.close(self._fd)
        self._fd = fresh

    def _is_at_path(self, opened: os.stat_result) -> bool:
        try:
            return os.path.samestat(opened, self._path.stat())
        except OSError:
            return False
