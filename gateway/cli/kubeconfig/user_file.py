"""Merges a gateway's entries into the kubeconfig that is the user's own, under kubectl's lock."""

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway import private_file
from gateway.cli.kubeconfig.merge import Merged, NotMergeable, merged
from gateway.errors import ConfigError, why
from gateway.settings.paths import home, state_dir

_PATIENCE = 2.0  # seconds for kubectl to give its lock up
_LOOK = 0.05  # seconds between looks


def path_of(env: Mapping[str, str] = os.environ) -> Path:
    """Returns the file into which kubectl writes: the first of KUBECONFIG that exists, else the last one named there, else
    ~/.kube/config.
    """
    named = [Path(one) for one in env.get("KUBECONFIG", "").split(os.pathsep) if one]
    if not named:
        return home(env) / ".kube" / "config"
    return next((one for one in named if one.exists()), named[-1]).absolute()


def merge(path: Path, ours: dict[str, Any]) -> Merged:
    """Merges `ours` into the file at `path`, 0600, and returns what it holds now. A link stays one. Raises ConfigError
    where that cannot be done: the file is then as it was.
    """
    try:
        _check(path)
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _locked(path):
            whole = path.resolve()  # kubectl, too, writes what a link leads to
            found = merged(_text(whole), ours)
            private_file.write(whole, found.text)
            return found
    except NotMergeable as error:
        raise ConfigError(f"{path} was left as it was: it {error}") from None
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path} was left as it was: {_reason(error)}") from None


def _check(path: Path) -> None:
    if path.parent == state_dir():
        raise NotMergeable("is dap's own, and KUBECONFIG names it: unset KUBECONFIG and try again")


def _reason(error: OSError | UnicodeError) -> str:
    return why(error) if isinstance(error, OSError) else "it is no UTF-8"


def _text(path: Path) -> str:
    """Returns what is in the file; nothing where there is none. Raises NotMergeable, OSError, UnicodeError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(found.st_mode):
        raise NotMergeable("is no file that can be replaced")
    if found.st_uid != os.geteuid():
        raise NotMergeable("belongs to another user")
    if not found.st_mode & stat.S_IWUSR:
        raise NotMergeable("is read-only")
    return path.read_bytes().decode("utf-8")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the lock that kubectl takes for a file before it writes there: a file that only one process can make. Raises
    NotMergeable, OSError.
    """
    lock, until = path.with_name(f"{path.name}.lock"), time.monotonic() + _PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError:
            if time.monotonic() > until:
                raise NotMergeable(
                    f"is locked: a kubectl that writes it has made {lock}, or has died; then remove that file"
                ) from None
            time.sleep(_LOOK)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
