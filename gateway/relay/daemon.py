"""Runs every session of one gateway, whatever becomes of its links: the daemon. One process, one event loop."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from . import resumable_command, run_directory, wire
from .command import Command
from .dial import DialStream, parse
from .disk_check import DiskCheck
from .journal import Journal
from .link import Link
from .listener import Listener
from .loop import Loop, describe_defect
from .post_exit import PostExit, PostExits
from .proxy import Proxies
from .proxy_stream import ProxyStream
from .remote_command import RemoteCommand
from .remote_request import RemoteRequest
from .request import ProxyRequest, Request, parse_owner
from .resumable_command import ListStream, ResumableCommand, Resumables, ResumableStream
from .running import Running
from .spool import Spools
from .stream import CommandStream, Credit

if TYPE_CHECKING:
    from .post_exit import AnyRequest

IDLE = 60.0  # seconds without link and sessions, after which the daemon leaves
_SIZES = ("memory", "capacity", "spools", "spools_per_owner")  # settings in bytes
_FEATURES = ["proxy", "exec", "input"]  # of a request, unknown to earlier relays of the same protocol
_UNREPORTED = 256  # reports of post-exit commands that wait for a link


class Daemon:
    """Holds the sessions, the link and the loop. `settings`: secret, version; lease and idle in seconds; memory and
    capacity of a journal in bytes, and what all spools, and those of one owner, may take on disk.
    """

    def __init__(
        self, listener: socket.socket, directory: str, settings: Mapping[str, Any], env: Mapping[str, str]
    ) -> None:
        self._socket = listener
        self._directory = directory
        self._settings = settings
        self._env = dict(env)
        self._home = os.getcwd()
        self._id = os.urandom(8).hex()  # its pid may be another's after the instance was started again
        self._loop = Loop(self._turn)
        self._listener = Listener(
            self._loop, listener, str(settings["secret"]), lambda: len(self._resumable), self._welcome
        )
        self._link: Link | None = None
        self._carrier: socket.socket | None = None
        self._resumable = Resumables(self._loop)
        self._alive: set[Running] = set()
        self._post_exits = PostExits(self._loop, self._make, self._report)
        self._unreported: deque[dict[str, Any]] = deque(maxlen=_UNREPORTED)
        memory, capacity, *most = (int(settings.get(key, 0)) for key in _SIZES)
        sizes = memory or 1 << 20, capacity or 256 << 20
        self._spools = Spools(*most)
        self._journal = partial(Journal, *sizes, directory, spools=self._spools)
        self._proxies = Proxies(
            self._loop, directory, lambda: Command(self._loop, self._journal(newest=True)), self._launch
        )
        self._busy = time.monotonic()
        self._leaving = False

    def run(self) -> None:
        """Serves until there has been nothing to do for IDLE seconds, or until TERM or HUP has ended
        everything. A defect that has no owner closes the link and is raised.
        """
        os.chdir("/")
        self._listener.open()
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._loop.on_signal(number, self._terminate)
        self._tick()
        try:
            self._loop.run()
        except Exception as error:
            if self._link:
                self._link.close(describe_defect(error))
            raise

    def _terminate(self) -> None:
        """Ends every command and the link; the daemon leaves once post-exit commands are done, which may need a proxy."""
        self._leaving = True
        for command in self._working:
            command.end()
        if self._link:
            self._link.close("the relay was told to end")
        self._tick()

    def _turn(self) -> None:
        link = self._link
        if link:
            try:
                link.flush()
            except Exception as error:  # noqa: BLE001  # the link's, not the daemon's
                link.defect(error)

    @property
    def _working(self) -> set[Running]:
        return self._alive - self._proxies.commands

    def _tick(self) -> None:
        """Drops ended commands, and stops the loop when nothing has been left to do for the idle time."""
        for command in [one for one in self._alive if one.result is not None]:
            self._alive.discard(command)
            self._track(run_directory.OVER, command)
        self._resumable.wanted()  # drops the others
        now, idle = time.monotonic(), float(self._settings.get("idle", IDLE))
        if self._leaving:
            self._busy, idle = now if self._working or self._post_exits.busy else 0.0, 0.2
        elif self._link or self._listener.busy or self._working or self._resumable or self._post_exits.busy:
            self._busy = now
        if now - self._busy >= idle:
            for command in self._alive:
                command.end()  # proxies, without a link to use them
            if not self._alive and run_directory.leave(self._directory, self._socket):
                self._loop.stop()
                return
        self._loop.later(min(5.0, idle / 4), self._tick)

    # links

    def _welcome(self, carrier: socket.socket, fds: tuple[int, int]) -> None:
        if self._link:
            self._link.close("another link took its place")
        self._carrier = carrier
        lease = float(self._settings.get("lease", wire.LEASE))
        self._link = Link(self._loop, fds, self._opened, self._lost, lease)
        about = {
            "protocol": wire.PROTOCOL,
            "version": self._settings["version"],
            "pid": os.getpid(),
            "id": self._id,
            "directory": self._directory,
            "named": len(self._resumable),
            "features": _FEATURES,
        }
        self._link.send(wire.encode_object(wire.HELLO, 0, about))
        while self._unreported:
            self._link.send(wire.encode_object(wire.AFTER, 0, self._unreported.popleft()))
        self._loop.readable(carrier.fileno(), self._carrier_gone)
        for command in self._alive:
            self._track(run_directory.BEGUN, command)

    def _track(self, what: bytes, command: Running) -> None:
        """Sends the carrier a command's pid with BEGUN or OVER, so that the carrier can end the command
        should the daemon be killed.
        """
        if self._carrier and command.pid:
            with suppress(OSError):
                self._carrier.send(what + b"%d" % command.pid)

    def _carrier_gone(self) -> None:
        if self._link:
            self._link.close("the carrier of the link has ended")

    def _lost(self, link: Link, reason: str) -> None:
        """Ends every session of a lost link but the resumable ones, whose grace time starts."""
        del reason  # it was said on the link
        self._link, self._busy = None, time.monotonic()
        if self._carrier:
            with suppress(OSError):
                self._carrier.send(run_directory.BYE)
            self._listener.dismiss(self._carrier)
            self._carrier = None
        for stream in self._resumable.keep(link.streams.values()):
            stream.cut()

    # sessions

    def _opened(self, link: Link, number: int, given: dict[str, Any]) -> None:
        credit = Credit.parse(given)
        if "dial" in given:
            address = parse(given["dial"])
            dialled = DialStream(self._loop, number, credit)
            link.add(dialled)
            dialled.connect(*address)
        elif "proxy" in given:
            wanted = ProxyRequest(given["proxy"])
            through = ProxyStream(self._loop, number, credit, self._proxies, wanted)
            link.add(through)
            through.begin()
        elif "attach" in given:
            self._resumable.attach(link, number, credit, given)
        elif "check" in given:
            check = DiskCheck(self._directory, self._spools)
            check.run(self._loop, lambda said: link.send(wire.encode_object(wire.EXIT, number, said)))
        elif "list" in given:
            link.add(ListStream(number, credit, self._resumable.wanted()))
        else:
            self._start(link, number, credit, given)

    def _start(self, link: Link, number: int, credit: Credit, given: dict[str, Any]) -> None:
        request = RemoteRequest(given) if "exec" in given else Request(given)
        named = resumable_command.parse(given)
        after = PostExit(given) if "after" in given else None
        if named:
            self._resumable.check_name(named[0])
        newest = bool(named and given.get("newest"))
        command, start = self._make(request, self._journal(newest=newest, owner=parse_owner(given)))
        if after:
            command.over = lambda: self._over(command, after)
        if named:
            one = self._resumable.add(ResumableCommand(*named, command))
            one.stream = ResumableStream(number, credit, one)
            link.add(one.stream)
        else:
            link.add(CommandStream(number, credit, command))
        self._alive.add(command)
        start()
        self._track(run_directory.BEGUN, command)

    def _make(self, request: AnyRequest, journal: Journal) -> tuple[Running, Callable[[], None]]:
        """Returns a command that does not run yet, and what starts it."""
        if isinstance(request, RemoteRequest):
            remote = RemoteCommand(self._loop, journal, self._proxies, request)
            return remote, remote.run
        command = Command(self._loop, journal)
        return command, partial(command.run, request, self._home, self._env)

    def _launch(self, command: Command, request: Request) -> None:
        """Starts a proxy."""
        self._alive.add(command)
        command.run(request, self._home, self._env)
        self._track(run_directory.BEGUN, command)

    def _over(self, command: Running, after: PostExit) -> None:
        if command.result is not None and after.due(command):
            command.result["after"] = True
            self._post_exits.add(after)

    def _report(self, about: dict[str, Any]) -> None:
        """Sends how post-exit commands went; keeps the report for the next link where there is none."""
        if self._link:
            self._link.send(wire.encode_object(wire.AFTER, 0, about))
        else:
            self._unreported.append(about)
