"""Connects to a host through the standard input and output of a command: ProxyCommand of ssh_config(5)."""

import asyncio
import os
import re
import signal
import socket
import subprocess
from contextlib import suppress

from gateway.backends.ssh.program import environment
from gateway.errors import HopFailed
from gateway.log import printable
from gateway.masking import mask
from gateway.timeouts import wait_within

_KEPT = 4096  # bytes of a line of its stderr
_SHOWN = 300  # characters of that line in a message
_SHELL = "/bin/sh"  # OpenSSH's _PATH_BSHELL


class ProxyCommand(asyncio.SubprocessProtocol):
    """A running ProxyCommand. `sock` is our end of the socket that is its stdin and stdout: give it to asyncssh.

    The command runs in a session of its own: Ctrl-C at the gateway's terminal does not end the command, and the
    command has no terminal to ask a person at, but may ask through SSH_ASKPASS. Its stderr is read as long as it
    runs; the last line is kept. Where the gateway is killed, the command reads EOF.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.sock = sock
        self._seconds = seconds
        self._transport: asyncio.SubprocessTransport | None = None
        self._group = 0  # its process group; 0: the group has ended
        self._line = b""  # of stderr, not finished yet
        self._last_line = b""
        self._exited = asyncio.Event()
        self._silent = asyncio.Event()  # stderr is closed

    def words(self) -> str:
        """Returns how the command ended and the last line of its stderr, or "" where neither is known yet."""
        said = printable(mask(self._last_line.decode("utf-8", "backslashreplace").strip()))[:_SHOWN]
        code = self._transport.get_returncode() if self._transport else None
        if code is None:
            return f"the ProxyCommand says: {said}" if said else ""
        ended = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
        return f"the ProxyCommand {ended}" + (f": {said}" if said else "")

    async def wait_ended(self, seconds: float) -> bool:
        """Waits until the command has ended and its stderr was read, so that `words` has all. Returns False where
        that takes longer than `seconds`.
        """
        return await wait_within(self._ended(), seconds)

    def close(self) -> None:
        """Ends the command and what it has started: EOF and SIGTERM at once, SIGKILL after the seconds that
        `start_proxy_command` was given.
        """
        with suppress(OSError):  # closed already
            self.sock.shutdown(socket.SHUT_RDWR)
        if self._send(signal.SIGTERM):
            asyncio.get_running_loop().call_later(self._seconds, self._send, signal.SIGKILL)

    async def wait_closed(self) -> None:
        """Waits, after `close`, until nothing is left of the command. When cancelled, kills it at once."""
        try:
            await wait_within(self._ended(), self._seconds)
        finally:
            self._send(signal.SIGKILL)
            self.sock.close()
        await wait_within(self._exited.wait(), self._seconds)
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Records the process group of the command, which has started."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self._group = transport.get_pid() or 0

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002  # stderr is the only pipe
        """Keeps the last line of stderr that is not blank; the rest is dropped."""
        *finished, self._line = re.split(rb"[\r\n]", self._line + data)
        self._line = self._line[:_KEPT]
        for line in (*finished, self._line):
            if line.strip():
                self._last_line = line[:_KEPT]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002  # as above
        self._silent.set()

    def process_exited(self) -> None:
        """Records that the shell, or the program that replaced it, has ended; others of its group may still serve the
        connection.
        """
        self._exited.set()
        if not self._send(0):
            self._group = 0  # the number may be another group's from now on

    async def _ended(self) -> None:
        await self._exited.wait()
        await self._silent.wait()

    def _send(self, number: int) -> bool:
        """Signals the whole process group. Returns False where the group is empty."""
        if not self._group:
            return False
        try:
            os.killpg(self._group, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


async def start_proxy_command(line: str, *, shell: str = "", seconds: float = 2.0) -> ProxyCommand:
    """Runs a shell line as sshconnect.c does, `exec LINE` in $SHELL, and returns the running command; `line` has its
    tokens expanded. `seconds` are the time between SIGTERM and SIGKILL when it is closed.

    Raises HopFailed(ssh_config). When cancelled, nothing is left of the command.
    """
    if line == "-":
        raise HopFailed(
            "ssh_config", "ProxyCommand -: a gateway has no connection on its stdin; name a command"
        )
    shell = shell or os.environ.get("SHELL") or _SHELL
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    proxy = ProxyCommand(ours, seconds)
    try:
        with theirs:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: proxy, shell, "-c", f"exec {line}",
                stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE, start_new_session=True,
                env=environment(),
            )  # fmt: skip
    except OSError as error:
        ours.close()
        raise HopFailed("ssh_config", f"cannot run ProxyCommand with {shell}: {error.strerror}") from None
    except BaseException:
        proxy.close()
        ours.close()
        raise
    return proxy


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
