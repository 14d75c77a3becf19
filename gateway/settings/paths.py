"""Finds the user's files and directories: the settings, the state, and where the local gateway's socket may be.

Nothing of ours is made in a directory that is somebody else's: a `sudo -E dap serve` would leave files there that their
owner cannot remove.
"""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import ConfigError

SOCKET = "gateway.sock"


def home(env: Mapping[str, str] = os.environ) -> Path:
    """Returns the user's home: $HOME, and where that is no absolute path the passwd entry's. Raises
    ConfigError where neither is: files of ours are never looked for in the working directory, where somebody
    else may have put them.
    """
    found = Path(env.get("HOME", ""))
    found = found if found.is_absolute() else _passwd_home() or found
    if not found.is_absolute():
        raise ConfigError(f"there is no home directory for uid {os.getuid()}: set HOME to an absolute path")
    return found


def expand(text: str, env: Mapping[str, str] = os.environ) -> Path:
    """Returns the path that a setting names, `~` and `~USER` as in ssh_config(5). Raises ConfigError for an
    unknown user.
    """
    if not text.startswith("~"):
        return Path(text)
    user, _, rest = text[1:].partition("/")
    if not user:
        return home(env) / rest.lstrip("/")
    try:
        return Path(pwd.getpwnam(user).pw_dir) / rest.lstrip("/")
    except KeyError:
        raise ConfigError(f"{text!r} names the home of {user!r}, and there is no such user") from None


def config_path(env: Mapping[str, str] = os.environ) -> Path:
    """Returns $XDG_CONFIG_HOME/dap/config.toml. Raises ConfigError where the path needs a home and none is
    known.
    """
    return (_base(env, "XDG_CONFIG_HOME") or home(env) / ".config") / "dap" / "config.toml"


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Returns $XDG_STATE_HOME/dap, for the token; in the passwd entry's home where the variables name a directory of
    somebody else's. Raises ConfigError as `config_path` does.
    """
    named, own = _named_state(env), _passwd_home()
    return own / ".local/state/dap" if own and stranger(named) is not None else named


def runtime_dir(env: Mapping[str, str] = os.environ) -> Path | None:
    """Returns $XDG_RUNTIME_DIR/dap; None where the variable is unset."""
    runtime = _base(env, "XDG_RUNTIME_DIR")
    return runtime / "dap" if runtime else None


def socket_paths(env: Mapping[str, str] = os.environ) -> list[Path]:
    """Returns where the Unix socket of this user's gateway may be, the best first: in $XDG_RUNTIME_DIR, unless that is
    somebody else's, and in the state directory. Raises ConfigError as `config_path` does.
    """
    runtime = runtime_dir(env)
    usable = [runtime] if runtime and stranger(runtime) is None else []
    return [directory / SOCKET for directory in (*usable, state_dir(env))]


def passed_over(env: Mapping[str, str] = os.environ) -> list[str]:
    """Returns which directories of the variables are not used, since they are somebody else's, and why."""
    runtime, named = runtime_dir(env), _named_state(env)
    return [
        f"{directory} is not used: it would be in a directory of uid {uid}"
        for directory in (runtime, named)
        if directory and (uid := stranger(directory)) is not None
    ]


def stranger(path: Path) -> int | None:
    """Returns the uid of the user, neither this one nor root, whose directory a new file at `path` would be in; None
    where there is no such user.
    """
    for directory in (path, *path.parents):
        try:
            uid = directory.stat().st_uid
        except OSError:
            continue
        return None if uid in (os.geteuid(), 0) else uid
    return None


def creatable(directory: Path) -> bool:
    """Returns True if this user can make files in the directory, or the directory itself where it is missing."""
    found = next(one for one in (directory, *directory.parents) if os.path.lexists(one))
    return found.is_dir() and os.access(found, os.W_OK | os.X_OK)


def _named_state(env: Mapping[str, str]) -> Path:
    return (_base(env, "XDG_STATE_HOME") or home(env) / ".local/state") / "dap"


def _passwd_home() -> Path | None:
    try:
        found = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None
    return found if found.is_absolute() else None


def _base(env: Mapping[str, str], variable: str) -> Path | None:
    """Returns the variable's directory; None where it is unset. A relative path is invalid and ignored (XDG
    Base Directory Specification, Basics).
    """
    base = env.get(variable, "")
    return Path(base) if Path(base).is_absolute() else None
