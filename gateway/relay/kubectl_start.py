"""Watches the start of a kubectl that runs a command in a pod: which process it is, and whether it waits for credentials.

kubectl runs a credential plugin before its first request, with a variable in the plugin's environment that says so (client-go
plugin/pkg/client/auth/exec). So while such a process lives the command in the pod has not started, and what is written
then is the plugin's.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any

from . import wire
from .loop import OwnLoop

_PLUGIN = b"KUBERNETES_EXEC_INFO="
_KLOG = re.compile(rb"^[EWIF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", re.MULTILINE)
# What ends a terminal's command that nobody can see: Ctrl-C, Ctrl-\, and what ends ssh
INTERRUPT = re.compile(rb"[\x03\x1c]|(?:^|\r)~\.")
_SAID = 4000  # bytes kept of what a plugin writes
_SOON, _SELDOM = 0.05, 1.0  # seconds between looks: at first, and later on
_BEGINNING = 5.0  # seconds in which kubectl asks for credentials, again and again where a plugin fails
_DEPTH = 8  # wrappers around kubectl


class KubectlStart:
    """Looks at the processes of the command `argv`, whose first `words` words are the command that is kubectl. A plugin may
    take `seconds`. See README.md, `kubectl`.
    """

    def __init__(self, argv: list[str], words: int, seconds: float) -> None:
        self.pids: list[int] = []  # of kubectl, where the command itself is a wrapper around it
        self.said = b""  # by a plugin
        self.over = False  # the command in the pod has started
        self._arguments = argv[words:]
        self._began = time.monotonic()
        self._seconds = seconds
        self._pause = _SOON

    def waits(self, pid: int) -> bool:
        """Finds kubectl below the process `pid` again. True if kubectl waits for a credential plugin."""
        found = kubectl_below(pid, self._arguments)
        self.pids += [one for one in found[1:] if one not in self.pids]
        return any(_is_plugin(child) for child in _children(found[-1]))

    def output(self, pid: int, data: bytes, *, stderr: bool) -> bytes:
        """Returns the bytes of `data`, just read from kubectl's output, that are not a plugin's words on stderr."""
        if not self.over:
            waits = self.waits(pid)
            self.over = not waits and (not stderr or time.monotonic() - self._began > _BEGINNING)
            if waits and stderr:
                self.said = (self.said + data)[-_SAID:]
                return b""
        elif stderr and _KLOG.search(data):
            self.waits(pid)
        return data

    def interrupts(self, pid: int, data: bytes) -> bool:
        """True if the input `data` of a terminal is to end a kubectl that waits for a plugin."""
        return not self.over and bool(INTERRUPT.search(data)) and self.waits(pid)

    def follow(self, loop: OwnLoop, pid: int, refuse: Callable[[dict[str, Any]], None]) -> None:
        """Looks now and then, and calls `refuse` with the reason once a plugin has had its time."""
        spent = time.monotonic() - self._began
        if self.over or spent > self._seconds + 2 * _SELDOM:
            return
        if self.waits(pid) and spent >= self._seconds:
            refuse(
                {"error": f"the credential plugin gave none within {self._seconds:g} s", "credentials": True}
            )
            return
        loop.later(self._pause, lambda: self.follow(loop, pid, refuse))
        self._pause = min(2 * self._pause, _SELDOM)


def parse(given: dict[str, Any], argv: list[str]) -> KubectlStart | None:
    """Returns the watch that the field `kubectl` of a request asks for; None without the field. Raises WireError."""
    if "kubectl" not in given:
        return None
    field = given["kubectl"]
    words, seconds = (field.get("words"), field.get("seconds")) if isinstance(field, dict) else (None, None)
    if not (isinstance(words, int) and words > 0 and isinstance(seconds, (int, float)) and seconds > 0):
        raise wire.WireError("kubectl has words and seconds")
    return KubectlStart(argv, words, float(seconds))


def kubectl_below(pid: int, arguments: list[str]) -> list[int]:
    """Returns the process `pid` and, where it is a wrapper, those below it that have the same arguments: the last one is
    kubectl.
    """
    end = b"".join(os.fsencode(word) + b"\0" for word in arguments)
    found = [pid]
    while len(found) < _DEPTH:
        wrapped = [child for child in _children(found[-1]) if read(child, "cmdline").endswith(end)]
        if not wrapped:
            break
        found.append(wrapped[0])
    return found


def _is_plugin(pid: int) -> bool:
    """True for a child of kubectl that has the variable, or shows no environment since execve(2) is just loading it: kubectl
    starts nothing but plugins before its first request.
    """
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = file.read()
        return _PLUGIN in environ or (not environ and not _ended(pid))
    except OSError:  # it is gone, or another user's
        return False


def _ended(pid: int) -> bool:
    return read(pid, "stat").rpartition(b") ")[2][:1] in (b"", b"Z", b"X")


def _children(pid: int) -> list[int]:
    """Returns the processes that any thread of `pid` has started; none where the kernel does not tell."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def read(pid: int, name: str) -> bytes:
    """Returns a file of /proc of the process; nothing of a process that has ended, or is another user's."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""
