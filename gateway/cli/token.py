"""Does `dap token` where that takes no settings: prints the last token while it is good, also a login's, or asks the gateway
for one at its Unix socket. It runs for every kubectl, so it imports neither click nor http.client; commands/token.py does
the rest.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time

from gateway.peer_credentials import peer_uid

TYPE_CHECKING = False  # of typing, whose import would be a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FRESH = 60.0  # seconds that a token has to be good for
_SECONDS = 10.0  # for the gateway to answer
_MOST = 16384  # bytes of an answer
_REQUEST = (
    b"POST /gateway/v1/short-token HTTP/1.1\r\nHost: localhost\r\nUser-Agent: dap-token\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)
_NAME = "short-token.json"


def print_fast() -> bool:
    """Prints an ExecCredential. Returns False, and prints nothing, where settings say whom to ask, or nobody answers at
    the usual sockets.
    """
    if _settings_in_file() or os.environ.get("DAP_GATEWAY_TOKEN"):
        return False
    if url := os.environ.get("DAP_GATEWAY_URL"):
        return _print_of_login(url)
    for directory in directories():
        path = f"{directory}/gateway.sock"
        try:
            print(credential(get(directory, source(path), lambda path=path: _ask(path))))  # type: ignore[misc]
            return True
        except (OSError, ValueError, KeyError):
            continue
    return False


def _print_of_login(url: str) -> bool:
    """Prints the token that is kept for the login to the gateway at `url`. Returns False where there is none."""
    directory = directories()[-1:]
    try:
        for name in os.listdir(f"{directory[0]}/logins"):
            with open(f"{directory[0]}/logins/{name}", opener=_private_read) as file:
                login = json.load(file)
            if login["url"] == url and (kept := _kept(directory[0], url, login["name"])):
                print(credential(kept))
                return True
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return False
    return False


def get(directory: str, asked: str, ask: Callable[[], dict[str, Any]], login: str = "") -> dict[str, Any]:
    """Returns the answer kept in `directory` that came from `asked`, while it is good; else what `ask` returns, which is
    kept. `login`: the public name of the login that asks, so that each has a place of its own. Of many processes at once
    one asks. Raises OSError for a directory that is another user's, and as `ask` does.
    """
    if os.stat(directory).st_uid != os.geteuid():
        raise PermissionError(directory)
    if kept := _kept(directory, asked, login):
        return kept
    name = _name(login)
    with open(f"{directory}/{_NAME}.lock", "a", opener=_private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept := _kept(directory, asked, login):
            return kept
        body = ask()
        found = {"from": asked, "until": time.time() + body["expiresIn"], "answer": body}
        _keep(f"{directory}/{name}", f"{directory}/.{name}", json.dumps(found))
    return body


def _keep(path: str, draft: str, text: str) -> None:
    """Writes a file as a whole. A full disk keeps none, and the next process asks again."""
    try:
        with open(draft, "w", opener=_private) as file:
            file.write(text)
        os.replace(draft, path)
    except OSError:
        _remove(draft)


def drop(directory: str, login: str = "") -> None:
    """Removes the token that is kept, of a login or of this machine's gateway: it may have been revoked."""
    _remove(f"{directory}/{_name(login)}")


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def source(path: str) -> str:
    """Returns what tells the gateway that listens at a Unix socket from the one before it."""
    at = os.stat(path)
    return f"{path} {at.st_ino} {at.st_ctime_ns}"


def credential(body: dict[str, Any]) -> str:
    """Returns the ExecCredential of a gateway's answer. Raises KeyError."""
    status = {"token": body["token"], "expirationTimestamp": body["expires"]}
    return json.dumps(
        {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    )


def _name(login: str) -> str:
    return f"{login}.{_NAME}" if login else _NAME


def _kept(directory: str, asked: str, login: str) -> dict[str, Any] | None:
    try:
        with open(f"{directory}/{_name(login)}", opener=_private_read) as file:
            at = os.fstat(file.fileno())
            if at.st_uid != os.geteuid() or at.st_mode & 0o077:
                return None
            found = json.load(file)
        left = found["until"] - time.time()
        good = found["from"] == asked and FRESH < left <= found["answer"]["expiresIn"]
        return found["answer"] if good else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _private_read(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _ask(path: str) -> dict[str, Any]:
    """Asks the gateway at a Unix socket. Raises OSError, and ValueError for anything but a token."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_SECONDS)
        sock.connect(path)
        if peer_uid(sock) not in (os.geteuid(), 0):
            raise PermissionError(path)
        sock.sendall(_REQUEST)
        answer = b""
        while (part := sock.recv(_MOST)) and len(answer) < _MOST:
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"201"]:
        raise ValueError
    found: dict[str, Any] = json.loads(body)
    return found


def _settings_in_file() -> bool:
    """Returns True where config.toml may name a gateway or a token."""
    base = os.environ.get("XDG_CONFIG_HOME") or f"{os.environ.get('HOME', '')}/.config"
    if not base.startswith("/") or base == "/.config":  # settings/paths.py knows where the file is then
        return True
    try:
        with open(f"{base}/dap/config.toml", "rb") as file:
            return any(line.strip().startswith((b"url", b"token", b'"', b"'", b"gateway")) for line in file)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def directories() -> list[str]:
    """Returns where a token may be kept, the best first."""
    runtime, state, home = (
        os.environ.get(name, "") for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "HOME")
    )
    bases = (runtime, state or (home and f"{home}/.local/state"))
    return [f"{base}/dap" for base in bases if base.startswith("/")]
