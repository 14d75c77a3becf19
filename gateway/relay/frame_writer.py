"""Writes the frames of a remote command as far as its connection takes them: control frames and the newest size go
before input.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable

from . import websocket
from .loop import OwnLoop

STDIN, RESIZE, HALF_CLOSE = 0, 4, 255  # channels (remotecommand/constants.go)
_PART = 32768  # bytes of input in one message, as kubectl sends
_AHEAD = 16384  # bytes of input that any server takes from the connection, whether the command reads or not


class FrameWriter:
    """Writes a handshake, and once `begin` was called frames. Input of a connection that has ended is dropped and counts
    as taken: see `Stdin`, which does the same for a process. `ends`: the end of input can be sent.
    """

    def __init__(self, loop: OwnLoop, *, ends: bool) -> None:
        self.wrote: Callable[[int], None] = lambda _: None
        self.received = 0  # bytes of input that came
        self._loop = loop
        self._fd: int | None = None
        self._closed = False
        self._parts: deque[bytes] = deque()
        self._urgent: deque[bytes] = deque()  # control frames
        self._size: bytes | None = None
        self._frame = memoryview(b"")  # what is left of the frame that is being written
        self._carries = 0  # bytes of input in it
        self._since = 0  # bytes of input written since the server was heard
        self._ready = False  # frames may be sent
        self._ends = ends
        self._eof = False

    def open(self, fd: int, head: bytes) -> None:
        """Writes to `fd` from now on: first the handshake `head`."""
        self._fd, self._frame = fd, memoryview(head)
        self.feed()

    def begin(self) -> None:
        """Writes frames from now on, those first that were waiting."""
        self._ready = True
        self.feed()

    @property
    def waiting(self) -> int:
        """Returns how many bytes of input the connection has not taken yet."""
        return sum(map(len, self._parts)) + self._carries

    @property
    def stuck(self) -> bool:
        """True if the command may be what does not take its input: then the server need not answer a ping."""
        return bool(self._frame) or self._since > _AHEAD

    def heard(self) -> None:
        """Records that the server sent something."""
        self._since = 0

    def write(self, data: bytes) -> None:
        """Queues input and writes what the connection takes now."""
        self.received += len(data)
        self._parts.append(data)
        self.feed()

    def write_eof(self) -> None:
        """Sends the end of input, behind all of it, where the end can be sent."""
        self._eof = self._ends
        self.feed()

    def control(self, opcode: int, payload: bytes) -> None:
        """Sends a control frame; of those that wait for the connection a newer pong replaces an older one (RFC 6455 5.5.3)."""
        if len(self._urgent) > 1:
            self._urgent.pop()
        self._urgent.append(websocket.encode(opcode, payload))
        self.feed()

    def resize(self, size: tuple[int, int]) -> None:
        """Sends the terminal's size; while the connection takes nothing only the newest one waits."""
        text = json.dumps({"Width": size[0], "Height": size[1]}).encode()
        self._size = websocket.encode(websocket.BINARY, bytes([RESIZE]) + text)
        self.feed()

    def feed(self) -> None:
        """Writes as much as the connection takes now, and the rest as it becomes able to; calls `wrote`."""
        gone = 0
        while self._fd is not None and (self._frame or (self._ready and self._next())):
            try:
                count = os.write(self._fd, self._frame)
            except BlockingIOError:
                break
            except OSError:  # the reader sees the end, behind what was sent before it
                self.close()
                break
            self._frame = self._frame[count:]
            if not self._frame:
                gone, self._since, self._carries = gone + self._carries, self._since + self._carries, 0
        if self._closed:
            gone += self.waiting
            self._parts.clear()
            self._carries = 0
        elif self._fd is not None:
            self._loop.writable(self._fd, self.feed if self._frame else None)
        if gone:
            self.wrote(gone)

    def _next(self) -> bool:
        """Takes the next frame to be written; False where none waits."""
        frame = b""
        if self._urgent:
            frame = self._urgent.popleft()
        elif self._size:
            frame, self._size = self._size, None
        elif self._parts:
            frame = self._take_input()
        elif self._eof:
            self._eof = False
            frame = websocket.encode(websocket.BINARY, bytes([HALF_CLOSE, STDIN]))
        self._frame = memoryview(frame)
        return bool(frame)

    def _take_input(self) -> bytes:
        data = self._parts.popleft()
        if len(data) > _PART:
            self._parts.appendleft(data[_PART:])
            data = data[:_PART]
        self._carries = len(data)
        return websocket.encode(websocket.BINARY, bytes([STDIN]) + data)

    def close(self) -> None:
        """Writes nothing any more, and drops what waits; the connection stays open for its reader."""
        if self._fd is not None:
            self._loop.writable(self._fd, None)
        self._fd, self._closed, self._frame = None, True, memoryview(b"")
        self.feed()
