"""Makes directories for one process among the temporary files, and removes those of processes that were killed: in a
container that is started again, what a SIGKILL leaves in /tmp would stay there for ever.
"""

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.settings.paths import SOCKET
from gateway.unix_peer import check_path

_MARK = ".dap-process"  # the file that its process holds locked
_NAME = re.compile(r"dap-(demo-|ssh-)?[a-z0-9_]{8}")
_YOUNG = 60.0  # seconds in which a directory may have no lock yet
_SHORT = ("/tmp", "/dev/shm")  # noqa: S108  # the directory in it is 0700 and has a name of its own


@contextmanager
def private_directory(kind: str = "") -> Iterator[Path]:
    """Yields a new directory, 0700, and removes it afterwards. Removes first what killed processes have left beside it.
    `kind`: "demo-", "ssh-", or empty. Raises OSError.
    """
    parent = _parent()
    sweep(parent)
    directory = Path(tempfile.mkdtemp(prefix=f"dap-{kind}", dir=parent))
    lock = os.open(directory / _MARK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def sweep(parent: Path) -> None:
    """Removes this user's private directories whose process is gone."""
    with suppress(OSError), os.scandir(parent) as found:
        for entry in [one for one in found if _NAME.fullmatch(one.name)]:
            with suppress(OSError):
                if _abandoned(entry):
                    shutil.rmtree(entry.path, ignore_errors=True)


def _abandoned(entry: os.DirEntry[str]) -> bool:
    found = entry.stat(follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        return False
    if time.time() - found.st_mtime < _YOUNG:
        return False
    lock = os.open(Path(entry.path) / _MARK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _parent() -> Path:
    """Returns the directory for temporary files; another one where there is none, or where a socket's path in it would
    be too long. Raises OSError.
    """
    try:
        parent = Path(tempfile.gettempdir())
        check_path(parent / "dap-12345678" / SOCKET)
    except OSError:
        usable = (Path(one) for one in _SHORT if os.access(one, os.W_OK | os.X_OK))
        if other := next(usable, None):
            return other
        raise
    return parent
