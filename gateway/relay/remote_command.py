"""Runs one command in a pod through the cluster's API, over a WebSocket to kubectl proxy: drains it at full speed into a
journal, as Command does with a process.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Any

from . import remote_status, websocket, wire
from .frame_writer import FrameWriter
from .journal import Journal, JournalFull
from .loop import Loop, Timer, describe_defect
from .opening import READ, Opening
from .proxy import Proxies
from .remote_request import RemoteRequest
from .running import Running

_PING = 5.0  # seconds of silence after which the server is asked for a pong, and between such questions
_DISK = 0.005  # seconds for which a slow disk delays reading
_KINDS = {1: wire.STDOUT, 2: wire.STDERR}  # channels (remotecommand/constants.go)
_STATUS = 3
_WHY = 0.1  # seconds in which the end of a proxy is known that has closed its connections


class RemoteCommand(Running):
    """Runs what `request` asks for; see `Running`. What arrives is read at once, whatever the link does: an API server
    drops the end of what a late reader leaves behind. Nothing is sent that needs no sending, since a server that has
    ended answers it with a reset, which destroys what was not read.
    """

    def __init__(self, loop: Loop, journal: Journal, proxies: Proxies, request: RemoteRequest) -> None:
        super().__init__(loop, journal)
        self.input: FrameWriter = FrameWriter(self._loop, ends=request.stdin and not request.size)
        self._request = request
        self._opening = Opening(self._loop, proxies, request, self.input, self._open, self._finish)
        self._frames = websocket.FrameReader()
        self._status = b""
        self._cut = False
        self._heard = 0.0
        self._opened = 0.0
        self._timer: Timer | None = None

    @property
    def about(self) -> dict[str, Any]:
        """See `Running.about`."""
        return {"pid": 0, "generation": self._opening.generation, "protocol": self._opening.protocol}

    @property
    def cut(self) -> bool:
        """See `Running.cut`."""
        return self._cut

    def run(self) -> None:
        """Begins to connect. A start that fails sets `result` instead of raising."""
        if self._request.size:
            self.input.resize(self._request.size)
        self._opening.begin()

    def write(self, data: bytes) -> None:
        """See `Running.write`."""
        self.input.write(data)

    def resize(self, size: tuple[int, int]) -> None:
        """See `Running.resize`."""
        if self._request.size and all(size):
            self.input.resize(size)

    def end(self) -> None:
        """See `Running.end`. The API server closes the command's input; the command itself may go on in the pod."""
        self.journal.discard()
        self._fail({"error": "the gateway ended the command"})

    def defect(self, error: Exception) -> None:
        """See `Running.defect`."""
        self._fail({"error": describe_defect(error)})

    # reading

    def _open(self, data: bytes) -> None:
        assert self._opening.socket
        self.started = True
        self._heard = self._opened = time.monotonic()
        self._ping()
        self._loop.readable(self._opening.socket.fileno(), self._read)
        self.changed()
        if data:
            self._take(data)

    def _read(self) -> None:
        connection = self._opening.socket
        if connection is None:
            return
        if self.journal.behind:  # a slow disk delays this command alone
            self._loop.pause(connection.fileno(), _DISK)
            return
        try:
            data = connection.recv(READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(os.strerror(error.errno or errno.EIO))
            return
        self._heard = time.monotonic()
        self.input.heard()
        self._take(data)

    def _take(self, data: bytes) -> None:
        if not data:
            self._lost("closed")
            return
        for opcode, channel, body in self._frames.feed(data):
            if opcode == websocket.BINARY and channel > _STATUS:
                self._broken(f"a message of stream {channel}")
                return
            if opcode == websocket.BINARY:
                self._take_output(channel, body)
            elif opcode == websocket.PING:
                self.input.control(websocket.PONG, body)
            elif opcode == websocket.CLOSE:
                self.input.control(websocket.CLOSE, body[:2])
                self._lost("closed without a status")
        if self._frames.broken:
            self._broken(self._frames.broken)
        self.changed()

    def _take_output(self, channel: int, body: bytes) -> None:
        if channel == _STATUS:
            self._status += body[: remote_status.MOST - len(self._status)]
        elif channel in _KINDS and not self.journal.closed:
            try:
                self.journal.append(_KINDS[channel], body)
            except JournalFull:
                why = self.journal.overrun()
                self.journal.discard()
                self._fail(why)

    def _ping(self) -> None:
        silent, pause = time.monotonic() - self._heard, min(_PING, self._request.silence / 3)
        if silent >= self._request.silence and not self.input.stuck:
            self._lost(f"silent for {self._request.silence:g} s")
            return
        if silent >= pause and not self.input.stuck:
            self.input.control(websocket.PING, b"")
        self._timer = self._loop.later(pause, self._ping)

    # ending

    def _lost(self, how: str) -> None:
        """Takes the connection's end, which the Status precedes."""
        if self._status:
            self._finish(remote_status.result(self._status))
            return
        self._leave()
        why = {
            "error": f"the connection to the API server: {how}",
            "lost": True,
            "age": time.monotonic() - self._opened,
        }
        self._loop.later(_WHY, lambda: self._fail({**why, **self._opening.proxy_end}))

    def _broken(self, rule: str) -> None:
        """Ends the command where the API server breaks a rule. A Status that came before counts."""
        if self._status:
            self._finish(remote_status.result(self._status))
        self._fail({"error": f"the API server broke a rule: {rule}", "lost": True})

    def _leave(self) -> None:
        """Closes the connection, and stops writing."""
        if self._timer:
            self._timer.cancel()
        self._opening.close()
        self.input.close()

    def _fail(self, why: dict[str, Any]) -> None:
        """Ends a command that has not ended by itself."""
        if self.result is None:
            self._cut = self.started
            self._finish(why)

    def _finish(self, result: dict[str, Any]) -> None:
        if self.result is not None:
            return
        self.result = {"generation": self._opening.generation, **result}
        self._leave()
        self.journal.close()
        self.over()
        self.changed()
