"""Connects to addresses that the runner reaches, `tcp:HOST:PORT` and `unix:/PATH`: byte streams that go at
the link's speed.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from contextlib import suppress
from typing import Any

from . import wire
from .lookup import look_up
from .loop import Loop, OwnLoop, Timer, describe_defect
from .stdin import Stdin
from .stream import Credit, Stream

CONNECT = 10.0  # seconds for an address to answer
_FULL = 0.02  # seconds between attempts where many others want to connect too


def parse(address: object) -> tuple[int, Any]:
    """Returns (family, address); the family is 0 for a name that has to be looked up. Raises WireError."""
    scheme, _, rest = address.partition(":") if isinstance(address, str) else ("", "", "")
    if scheme == "unix" and rest.startswith("/"):
        return socket.AF_UNIX, rest
    host, _, port = rest.rpartition(":")
    host = host.strip("[]")
    if scheme != "tcp" or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise wire.WireError("dial is tcp:HOST:PORT or unix:/PATH")
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return family, (host, int(port))
    return 0, (host, int(port))


class DialStream(Stream):
    """Carries one connection: STDOUT is its data towards the gateway, STDIN its data from it; EOF ends one
    direction, EXIT both.
    """

    def __init__(self, loop: Loop, number: int, credit: Credit) -> None:
        super().__init__(number, credit)
        self._loop = OwnLoop(loop, self.defect)
        self._socket: socket.socket | None = None
        self._connected = False
        self._stdin = Stdin(self._loop)
        self._stdin.wrote = self._wrote
        self._read_all = False
        self._came = False  # there may be data that the link has not taken
        self._timer: Timer | None = None
        self._addresses: deque[tuple[int, Any]] = deque()

    def connect(self, family: int, address: Any) -> None:
        """Begins to connect. STARTED reports success, EXIT a failure or CONNECT seconds without an answer."""
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.later(CONNECT, lambda: self._fail(errno.ETIMEDOUT))
        if family:
            self._addresses.append((family, address))
            self._try(errno.ENOENT)
            return
        try:
            look_up(self._loop, address, CONNECT, self._found)
        except OSError as error:
            self._fail(error.errno or errno.EIO)

    def _about(self) -> dict[str, Any]:
        """Returns what STARTED says."""
        return {}

    def _found(self, addresses: list[tuple[int, Any]]) -> None:
        if not self.over:
            self._addresses.extend(addresses)
            self._try(errno.ENOENT)

    def _try(self, number: int) -> None:
        """Connects to the next address; fails with `number`, the errno of the address before, where none is
        left.
        """
        self._close()
        if not self._addresses:
            self._fail(number)
            return
        family, address = self._addresses.popleft()
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            number = self._socket.connect_ex(address)
        except OSError as error:
            number = error.errno or errno.ENAMETOOLONG  # Python gives no number for a path that is too long
        if number == errno.EAGAIN:  # a Unix socket whose backlog is full
            self._addresses.appendleft((family, address))
            self._loop.later(_FULL, self._try_again)
            return
        if number not in (0, errno.EINPROGRESS) or self._socket is None:
            self._try(number)
            return
        self._loop.writable(self._socket.fileno(), self._settled)

    def _try_again(self) -> None:
        if not self.over:
            self._try(errno.EAGAIN)

    def _settled(self) -> None:
        assert self._socket
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._try(number)
            return
        if self._timer:
            self._timer.cancel()
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.writable(self._socket.fileno(), None)
        self._connected = True
        self.send(wire.encode_object(wire.STARTED, self.number, self._about()))
        self._stdin.begin(self._socket.fileno(), self._wrote_all)
        self._stdin.feed()
        self._watch_input()

    def _watch_input(self) -> None:
        """Waits for data only while there is credit for it: a connection loses nothing by waiting."""
        if self._socket and self._connected and not self._read_all:
            self._loop.readable(self._socket.fileno(), self._readable if self._may_send.left > 0 else None)

    def _readable(self) -> None:
        assert self._socket
        if self._came:  # and the link has not taken it: no more news until it has
            self._loop.readable(self._socket.fileno(), None)
        self._came = True
        self.wake()

    def _data(self) -> bytes:
        if not self._connected or self._socket is None or self._read_all or self._may_send.left <= 0:
            return b""
        if not self._came:
            self._watch_input()
            return b""
        size = min(wire.FULL, self._may_send.left)
        try:
            data = self._socket.recv(size)
            self._came = len(data) == size  # else there is no more now
        except BlockingIOError:
            self._came = False
            self._watch_input()
            return b""
        except OSError as error:
            self._fail(error.errno or errno.EIO)
            return self.take()
        if not data:
            self._read_all = True
            self._loop.readable(self._socket.fileno(), None)
            self.send(wire.encode(wire.EOF, self.number))
            self._finish_if_both_ended()
            return self.take()
        self._may_send.take(len(data))
        return wire.encode(wire.STDOUT, self.number, data)

    def frame(self, kind: int, body: bytes) -> None:
        super().frame(kind, body)
        self._watch_input()

    def cut(self) -> None:
        self._finish({"code": 0})

    def defect(self, error: Exception) -> None:
        self._finish({"error": describe_defect(error)})

    def _write(self, data: bytes) -> None:
        self._stdin.write(data)

    def _write_eof(self) -> None:
        self._stdin.write_eof()

    def _wrote_all(self) -> None:
        """Ends the direction to the far side, which may take no more: what it has said before is still read to its end."""
        if self._socket and not self.over:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._finish_if_both_ended()

    def _finish_if_both_ended(self) -> None:
        if self._stdin.closed and self._read_all:
            self._finish({"code": 0})

    def _fail(self, number: int) -> None:
        self._finish({"error": os.strerror(number), "errno": number})

    def _finish(self, result: dict[str, Any]) -> None:
        if self.over:
            return
        self.over = True
        self._stdin.close()
        self._close()
        if self._timer:
            self._timer.cancel()
        self.send(wire.encode_object(wire.EXIT, self.number, result))

    def _close(self) -> None:
        if self._socket:
            self._loop.close(self._socket.detach())
            self._socket = None
