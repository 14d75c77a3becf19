"""Runs kubectl proxy for connections of the gateway: one for each command line, whatever becomes of the links.

A proxy that has to be replaced goes on until its last connection has ended, beside the next generation, which listens on
a socket of its own.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from . import run_directory
from .command import Command
from .loop import Loop, OwnLoop, Timer, describe_defect
from .request import ProxyRequest, Request

START = 10.0  # seconds for a proxy to listen
AGAIN = 1.0  # seconds from a start that failed to the next attempt
_LISTENS = b"Starting to serve on"
_WORDS = 4000  # bytes kept of a proxy's output


class ProxyUser(Protocol):
    """Uses a connection to a proxy; belongs to its generation from `join` to `leave`."""

    def reach(self, path: str) -> None:
        """Connects to the proxy, which listens on the socket `path`."""

    def refuse(self, why: dict[str, Any]) -> None:
        """Takes the reason why the proxy does not listen."""

    def tell_replaced(self) -> None:
        """Takes the news that new connections go to another proxy: the kubeconfig has changed."""


class Generation:
    """Runs one proxy, which listens on `path`, as `command`, for the connections that `join`. `number` is no other
    generation's; `idle`: seconds without a connection after which the proxy ends.
    """

    def __init__(self, loop: Loop, command: Command, number: int, path: str, idle: float) -> None:
        self.command = command
        self.number = number
        self._path = path
        self._idle = idle
        self._loop = OwnLoop(loop, command.defect)
        self._since = 0.0  # when the proxy began to listen
        self._why: dict[str, Any] | None = None  # what EXIT says of a proxy that does not listen
        self._failed = 0.0
        self._retired = self._replaced = False
        self._users: set[ProxyUser] = set()
        self._read = 0  # bytes of the proxy's output
        self._output = b""
        self._timer: Timer | None = self._loop.later(START, self._late)

    @property
    def joinable(self) -> bool:
        """True if new connections may join: the proxy starts, or listens, or has just failed to."""
        if self._why:
            return time.monotonic() - self._failed < AGAIN
        return not (self._retired or self.command.ending or self.command.result is not None)

    @property
    def about(self) -> dict[str, Any]:
        """Returns what STARTED says of a connection to this proxy."""
        age = time.monotonic() - self._since
        return {"generation": self.number, "age": round(age, 3), "replaced": self._replaced}

    def join(self, user: ProxyUser) -> None:
        """Has the user connect once the proxy listens; refuses the user where the proxy does not."""
        self._users.add(user)
        if self._why:
            user.refuse(self._why)
        elif self._since:
            self._set_timer(None)
            user.reach(self._path)

    def leave(self, user: ProxyUser) -> None:
        """Takes the end of a user: the proxy is needed for `idle` seconds more, or no longer where it is retired."""
        self._users.discard(user)
        self._rest()

    def retire(self) -> None:
        """Ends the proxy with its last connection."""
        self._retired = True
        self._rest()

    def replace(self, _: object) -> None:
        """Leaves new connections to the next generation: the kubeconfig has changed. What asked to stay goes on."""
        self._replaced = True
        for stream in list(self._users):
            stream.tell_replaced()
        self.retire()

    def follow(self) -> None:
        """Takes what the proxy writes, and its start; a defect in doing so ends the proxy."""
        try:
            self._take()
        except Exception as error:  # noqa: BLE001  # the connections are told
            self._fail({"error": describe_defect(error)})
            self.command.end()

    def _take(self) -> None:
        journal = self.command.journal
        self._read = max(self._read, journal.start)
        while record := journal.read(self._read):
            self._read += len(record[1])
            self._output = (self._output + record[1])[-_WORDS:]
        self.command.sent = self._read
        journal.drop(self._read)
        if not self._since and not self._why and _LISTENS in self._output:
            self._since = time.monotonic()
            self._set_timer(None)
            for user in list(self._users):
                user.reach(self._path)
            self._rest()

    def over(self) -> None:
        """Takes the proxy's end."""
        self.follow()
        self._set_timer(None)
        with suppress(OSError):
            os.unlink(self._path)  # kubectl leaves it
        if not self._since:
            self._fail({"words": self._output.decode("utf-8", "replace"), **(self.command.result or {})})

    def _late(self) -> None:
        self._fail({"error": f"kubectl proxy did not start within {START:g} s", "errno": errno.ETIMEDOUT})
        self.command.end()

    def _fail(self, why: dict[str, Any]) -> None:
        if self._why:
            return
        self._why, self._failed = {**why, "generation": self.number}, time.monotonic()
        for user in list(self._users):
            user.refuse(self._why)

    def _rest(self) -> None:
        if self._users or not self._since or self.command.result is not None:
            return
        if self._retired:
            self.command.end()
        else:
            self._set_timer(self._loop.later(self._idle, self.retire))

    def _set_timer(self, timer: Timer | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = timer


class Proxies:
    """Holds the proxies of a daemon, whose sockets are in `directory`. `make` returns a command that does not run yet,
    and `launch` starts it.
    """

    def __init__(
        self,
        loop: Loop,
        directory: str,
        make: Callable[[], Command],
        launch: Callable[[Command, Request], None],
    ) -> None:
        self._loop = loop
        self._directory = directory
        self._make = make
        self._launch = launch
        self._number = 0  # of the last generation
        self._running: dict[int, Generation] = {}  # by the socket's N
        self._current: dict[tuple[str, ...], Generation] = {}  # those that take new connections

    def current(self, wanted: ProxyRequest) -> Generation:
        """Returns the generation that takes new connections; begins one where there is none, and where the one that
        there is has to be replaced.
        """
        found = self._current.get(wanted.key)
        if found and found.number <= wanted.newer:
            found.retire()
        if found is None or not found.joinable:
            found = self._current[wanted.key] = self._begin(wanted)
        return found

    @property
    def commands(self) -> set[Command]:
        """Returns the commands of all proxies that run."""
        return {one.command for one in self._running.values()}

    def _begin(self, wanted: ProxyRequest) -> Generation:
        self._current = {key: one for key, one in self._current.items() if one.joinable}
        self._number += 1
        slot = min(set(range(1, len(self._running) + 2)) - set(self._running))
        path = os.path.join(self._directory, f"kubectl-{slot}{run_directory.SOCKET}")
        command = self._make()
        one = self._running[slot] = Generation(self._loop, command, self._number, path, wanted.idle)

        def over() -> None:
            del self._running[slot]
            one.over()

        command.changed, command.over = one.follow, over
        try:
            self._launch(command, wanted.command(path))
            wanted.follow(OwnLoop(self._loop, command.defect), command.pid, path, one.replace)
        except Exception as error:  # noqa: BLE001  # the connections are told
            command.defect(error)
        return one
