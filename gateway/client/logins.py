"""Keeps what `dap login` was given: for each gateway a private file in the state directory."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

from gateway import private_file
from gateway.errors import ConfigError
from gateway.settings.paths import state_dir

_MOST = 64 << 10  # bytes of a file


@dataclass(frozen=True)
class Login:
    """Holds the token with which somebody is signed in to the gateway at `url`, which is written as `gateway_url` returns
    it. `ca`: the only authority that is trusted there, in PEM; empty for those of the system.
    """

    url: str
    token: str = field(repr=False)
    identity: str
    ca: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """Returns the token's public name, as `dap access` lists it."""
        return hashlib.sha256(self.token.encode()).hexdigest()[:10]


def store(login: Login) -> None:
    """Keeps a login in place of the last one for its gateway. Raises OSError."""
    private_file.write(_path(login.url), json.dumps({"name": login.name, **asdict(login)}))


def forget(login: Login) -> None:
    """Removes a login. Raises OSError."""
    _path(login.url).unlink(missing_ok=True)


def find(url: str) -> Login | None:
    """Returns the login for the gateway at `url`. Raises ConfigError for a file that others can read."""
    return _read(_path(url))


def every() -> list[Login]:
    """Returns all logins, in the order of their URLs. Raises as `find`."""
    return sorted(_all(), key=lambda one: one.url)


def _all() -> Iterator[Login]:
    for path in (state_dir() / "logins").glob("*.json"):
        if found := _read(path):
            yield found


def _path(url: str) -> Path:
    return state_dir() / "logins" / f"{quote(url, safe='')}.json"


def _read(path: Path) -> Login | None:
    """Returns what a file holds; None where there is none, or something else in it."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} can be read by others: run 'chmod 600 {path}'")
        with path.open("rb") as file:
            body = json.loads(file.read(_MOST))
        return Login(*(str(body[key]) for key in ("url", "token", "identity", "ca")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
