"""Checks what is to be run, as the gateway asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import kubectl_start, wire
from .kubeconfig import KubeconfigWatch
from .loop import OwnLoop

_IDLE = 300.0  # seconds that a proxy stays without a connection, unless the request says otherwise
_LONGEST = 86400.0


class Request:
    """Holds what to run: the fields of README.md. Raises WireError."""

    def __init__(self, given: dict[str, Any]) -> None:
        argv, env = given.get("argv"), given.get("env", {})
        if not isinstance(argv, list) or not argv or not all(map(_text, argv)):
            raise wire.WireError("argv is a list of strings without NUL")
        if not isinstance(env, dict) or not all(
            _text(k) and k and "=" not in k and _text(env[k]) for k in env
        ):
            raise wire.WireError("env maps names to strings without NUL")
        self.argv: list[str] = argv
        self.env: dict[str, str] = env
        self.size = parse_size(given)
        self.raw = bool(given.get("raw"))
        self.separate_stderr = bool(given.get("apart"))
        self.kubectl = kubectl_start.parse(given, argv)
        words = given.get("kubeconfig")
        self._kubeconfig = KubeconfigWatch(argv[words:]) if isinstance(words, int) else None

    def follow(self, loop: OwnLoop, pid: int, refuse: Callable[[dict[str, Any]], None]) -> None:
        """Watches the command that runs as `pid` for what the request wants it ended for: calls `refuse` with the reason."""
        if self.kubectl:
            self.kubectl.follow(loop, pid, refuse)
        if self._kubeconfig:
            self._kubeconfig.follow(loop, pid, refuse)


class ProxyRequest:
    """Holds which proxy a connection is to lead to: the fields of README.md. `stays`: the connection goes on after a change
    of the proxy's kubeconfig, and is told of it. Raises WireError.
    """

    def __init__(self, given: object) -> None:
        field = given if isinstance(given, dict) else {}
        self._argv = Request(field).argv
        words = field.get("kubeconfig")
        self._words: int | None = words if isinstance(words, int) else None
        self.stays = bool(field.get("stays"))
        self.idle, self.newer = field.get("idle", _IDLE), field.get("newer", 0)
        if not (
            isinstance(self.idle, (int, float)) and 0 < self.idle <= _LONGEST and wire.is_offset(self.newer)
        ):
            raise wire.WireError(
                "proxy has idle seconds, and the number of the generation that it is newer than"
            )

    @property
    def key(self) -> tuple[str, ...]:
        """Returns what all requests for the same proxy have in common."""
        return tuple(self._argv)

    def command(self, path: str) -> Request:
        """Returns the request that runs the proxy on the socket `path`."""
        return Request({"argv": self._line(path)})

    def follow(self, loop: OwnLoop, pid: int, path: str, changed: Callable[[dict[str, Any]], None]) -> None:
        """Watches the kubeconfig of the proxy that runs as `pid` on the socket `path`; calls `changed` once it is another."""
        if self._words is not None and pid:
            KubeconfigWatch(self._line(path)[self._words :]).follow(loop, pid, changed)

    def _line(self, path: str) -> list[str]:
        return [*self._argv, f"--unix-socket={path}"]


def parse_size(given: dict[str, Any]) -> tuple[int, int] | None:
    """Returns the size of the terminal that a request asks for; None where it asks for none. Raises WireError."""
    size = given.get("tty")
    if size is not None and not (isinstance(size, list) and len(size) == 2 and _sizes(size)):
        raise wire.WireError("tty is [columns, rows]")
    return (size[0], size[1]) if size else None


def parse_owner(given: dict[str, Any]) -> str:
    """Returns whose output a request's command writes: the spools of one owner count together."""
    owner = given.get("owner", "")
    return owner if isinstance(owner, str) else ""


def _text(value: object) -> bool:
    """True if the kernel can carry the value: a string without NUL that has an encoding."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeError:
        return False
    return True


def _sizes(values: list[Any]) -> bool:
    return all(isinstance(value, int) and 0 < value < 65536 for value in values)
