"""Runs a command in a pod for a client of the API: exec over WebSocket, as the API server and the kubelet do together
(kubernetes apimachinery/pkg/util/remotecommand).
"""
# ruff: noqa: SIM105 - contextlib is slow to import

import fcntl
import json
import os
import select
import signal
import socket
import struct
import termios
import threading

from . import websocket
from .container import Container, StartError, exit_code
from .terminal import read_after_eio

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .objects import Object

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _STATUS, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_PART = 64 * 1024
_SIZE = 250  # ms for a terminal's first size: it is set before the command starts
_QUIET = 2000  # ms without output after the command's end, where something else holds the output open
_LEFT = 128 * 1024  # no more of a command's output can be in a terminal when it has ended
_START = (
    "error executing command in container: failed to exec in container: failed to start exec "
    '"{exec_id}": OCI runtime exec failed: exec failed: unable to start container process: {why}: unknown'
)


class Remote:
    """Runs a command for a client on a connection that was upgraded. `wanted`: of stdin, stdout, stderr and tty."""

    def __init__(self, connection: socket.socket, wanted: "set[str]") -> None:
        self._connection = connection
        self._terminal = "tty" in wanted
        self._stdin = "stdin" in wanted
        self._frames = websocket.Frames()
        self._input = bytearray()
        self._ended = False  # the client writes no more input
        self._size: tuple[int, int] | None = None  # rows and columns
        self._into = -1  # the descriptor to write input to; -1: closed
        self._outputs: dict[int, int] = {}  # channels, by the descriptor to read them from
        self._code: int | None = None

    def run(self, container: Container, command: "list[str]") -> None:
        """Runs the command until its end, or until the client has gone, at which the command gets a hangup."""
        try:
            if self._terminal and _readable([self._connection.fileno()], _SIZE):
                self._receive()
            pid = self._start(container, command)
        except StartError as error:
            self.fail(_START.format(exec_id=os.urandom(32).hex(), why=error))
            return
        over, writer = os.pipe()
        threading.Thread(target=self._wait, args=(pid, writer), daemon=True).start()
        try:
            self._carry(over)
        except OSError:
            pass
        try:
            if self._code is None:
                _hang_up(pid)
                self._drain()
        finally:
            for fd in {over, *self._outputs, self._into} - {-1}:
                os.close(fd)
        if self._code is not None:
            self._finish(_status(self._code))

    def fail(self, why: str) -> None:
        """Tells the client that the command does not run."""
        status = {"metadata": {}, "status": "Failure", "message": f"Internal error occurred: {why}"}
        self._finish(
            {**status, "reason": "InternalError", "details": {"causes": [{"message": why}]}, "code": 500}
        )

    def _start(self, container: Container, command: "list[str]") -> int:
        if self._terminal:
            master, slave = os.openpty()
            theirs = (slave, slave, slave)
            self._into, self._outputs = master, {master: _STDOUT}
            self._resize()
        else:
            (source, self._into), (out, to_out), (err, to_err) = os.pipe(), os.pipe(), os.pipe()
            theirs, self._outputs = (source, to_out, to_err), {out: _STDOUT, err: _STDERR}
            self._ended = not self._stdin
        os.set_blocking(self._into, False)
        try:
            return container.start(command, theirs, terminal=self._terminal)
        finally:
            for fd in set(theirs):
                os.close(fd)

    def _wait(self, pid: int, writer: int) -> None:
        _, status = os.waitpid(pid, 0)
        self._code = exit_code(status)
        os.close(writer)

    def _carry(self, over: int) -> None:
        """Carries bytes until the command has ended and its output was sent, or until the client has gone. `over` is
        readable once the command has ended.
        """
        left = _LEFT
        while left > 0 and (self._outputs or self._code is None):
            ended = self._code is not None
            ready = self._poll(None if ended else over)
            if self._connection.fileno() in ready and not self._receive():
                return
            if ready.get(self._into, 0) & ~select.POLLIN:
                self._write()
            readable = [fd for fd in self._outputs if ready.get(fd, 0) & ~select.POLLOUT]
            if ended and not readable:
                return
            sent = sum(self._send(fd) for fd in readable)
            left -= sent if ended and self._terminal else 0

    def _poll(self, over: "int | None") -> "dict[int, int]":
        """Waits for what is ready, without `over` at most as long as something else may hold the output open."""
        if self._ended and not self._input and not self._terminal:
            self._end_input()
        poll = select.poll()
        poll.register(self._connection, select.POLLIN if len(self._input) < _PART else 0)
        for fd in self._outputs:
            poll.register(fd, select.POLLIN)
        if self._input and self._into >= 0:
            poll.register(self._into, select.POLLOUT | (select.POLLIN if self._into in self._outputs else 0))
        if over is not None:
            poll.register(over, select.POLLIN)
            return dict(poll.poll())
        return dict(poll.poll(0 if self._terminal else _QUIET))

    def _receive(self) -> bool:
        """Takes what the client has sent. False where the client has gone."""
        data = self._connection.recv(_PART)
        for opcode, payload in self._frames.feed(data):
            if opcode == websocket.PING:
                self._connection.sendall(websocket.frame(websocket.PONG, payload))
            elif opcode == websocket.CLOSE:
                return False
            elif opcode == websocket.BINARY and payload:
                self._take(payload[0], payload[1:])
        return bool(data)

    def _take(self, channel: int, body: bytes) -> None:
        if channel == _STDIN and self._stdin and not self._ended:
            self._input += body
        elif channel == _CLOSE and body == bytes([_STDIN]):
            self._ended = True
        elif channel == _RESIZE and self._terminal:
            size = json.loads(body)
            self._size = size["Height"], size["Width"]
            self._resize()

    def _resize(self) -> None:
        if self._size and self._into >= 0:
            fcntl.ioctl(self._into, termios.TIOCSWINSZ, struct.pack("4H", *self._size, 0, 0))

    def _write(self) -> None:
        """Writes input; one that nobody reads any more is dropped."""
        try:
            del self._input[: os.write(self._into, self._input[:_PART])]
        except BlockingIOError:
            pass
        except OSError:
            self._input.clear()
            self._ended = True

    def _end_input(self) -> None:
        if self._into >= 0:
            os.close(self._into)
        self._into = -1

    def _send(self, fd: int) -> int:
        """Sends output, and returns how much. EIO says that nobody has the terminal open any more."""
        try:
            data = os.read(fd, _PART)
        except OSError:
            data = read_after_eio(fd)
        if data:
            self._connection.sendall(websocket.frame(websocket.BINARY, bytes([self._outputs[fd]]) + data))
        else:
            del self._outputs[fd]
            if fd != self._into:
                os.close(fd)
        return len(data)

    def _drain(self) -> None:
        """Reads on for what ignores the hangup: its pipes stay open in a cluster, too."""
        if not self._terminal:
            self._end_input()
        while self._outputs and not self._terminal:
            for fd in _readable(self._outputs, None):
                if not os.read(fd, _PART):
                    del self._outputs[fd]
                    os.close(fd)

    def _finish(self, status: "Object") -> None:
        text = json.dumps(status, separators=(",", ":")).encode()
        end = websocket.frame(websocket.CLOSE, (1000).to_bytes(2, "big"))
        try:
            self._connection.sendall(websocket.frame(websocket.BINARY, bytes([_STATUS]) + text) + end)
        except OSError:
            pass


def _readable(fds: "Iterable[int]", milliseconds: "int | None") -> "list[int]":
    """Returns those that can be read, or have ended, within the time."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(milliseconds)]


def _hang_up(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGHUP)
    except ProcessLookupError:
        pass


def _status(code: int) -> "Object":
    """Returns the Status of a command that has ended."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
