"""Watches the files in which a running kubectl has found its cluster: kubectl reads them once, at its start."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .kubectl_start import kubectl_below, read
from .loop import OwnLoop

PAUSE = 1.0  # seconds between looks
_SOON = 0.02  # seconds between looks at a process that has no environment yet: it is becoming kubectl
_LOOKS = 100  # at such a process
_K3S = "/etc/rancher/k3s/k3s.yaml"  # of `k3s kubectl`, which shows it to nobody


class KubeconfigWatch:
    """Looks at the files of the kubectl that runs as `arguments` behind its command, itself or behind a wrapper."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        self._paths: list[str] = []
        self._states: list[object] = []
        self._looks = _LOOKS

    def follow(self, loop: OwnLoop, pid: int, refuse: Callable[[dict[str, Any]], None]) -> None:
        """Looks again and again while the process `pid` lives, and calls `refuse` with the reason once a file has changed."""
        paths = _paths(read(kubectl_below(pid, self._arguments)[-1], "environ"))
        states = [_state(path) for path in paths]
        if paths == self._paths and states != self._states:
            refuse({"error": "the kubeconfig was changed", "changed": True})
        elif paths:
            self._paths, self._states = paths, states
            loop.later(PAUSE, lambda: self.follow(loop, pid, refuse))
        elif not self._paths and self._looks:
            self._looks -= 1
            loop.later(_SOON, lambda: self.follow(loop, pid, refuse))


def _paths(environ: bytes) -> list[str]:
    """Returns the files that a kubectl with this environment reads; none of a process that has ended."""
    if not environ:
        return []
    env = dict(row.partition("=")[::2] for row in os.fsdecode(environ).split("\0"))
    named = [path for path in env.get("KUBECONFIG", "").split(":") if path]
    return [*(named or [os.path.join(env.get("HOME", "/"), ".kube/config")]), _K3S]


def _state(path: str) -> object:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
