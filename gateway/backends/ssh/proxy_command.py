"""Connects to a host through the standard input and output of a command: ProxyCommand of ssh_config(5)."""

import asyncio
import os
import re
import signal
import socket
import subprocess
from contextlib import suppress

from gateway.backends.ssh.child import Child
from gateway.backends.ssh.program import environment
from gateway.errors import HopFailed
from gateway.log import printable
from gateway.masking import mask
from gateway.timeouts import wait_within

_KEPT = 4096  # bytes of a line of its stderr
_SHOWN = 300  # characters of that line in a message
_SHELL = "/bin/sh"  # OpenSSH's _PATH_BSHELL


class ProxyCommand(asyncio.Protocol):
    """A running ProxyCommand. `sock` is our end of the socket that is its stdin and stdout: give it to asyncssh.

    The command runs in a session of its own: Ctrl-C at the gateway's terminal does not end the command, and the
    command has no terminal to ask a person at, but may ask through SSH_ASKPASS. Its stderr is read as long as it
    runs; the last line is kept. Where the gateway is killed, the command reads EOF.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.sock = sock
        self._seconds = seconds
        self.child: Child | None = None
        self._stderr: asyncio.BaseTransport | None = None
        self._line = b""  # of stderr, not finished yet
        self._last_line = b""
        self._silent = asyncio.Event()  # stderr is closed

    def words(self) -> str:
        """Returns how the command ended and the last line of its stderr, or "" where neither is known yet."""
        said = printable(mask(self._last_line.decode("utf-8", "backslashreplace").strip()))[:_SHOWN]
        code = self.child.status if self.child else None
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
        if self.child:
            self.child.send(signal.SIGTERM)
            asyncio.get_running_loop().call_later(self._seconds, self.child.end)

    async def wait_closed(self) -> None:
        """Waits, after `close`, until nothing is left of the command. When cancelled, kills it at once."""
        try:
            await wait_within(self._ended(), self._seconds)
        finally:
            self.sock.close()
            if self.child:
                self.child.end()
        if self.child:
            await wait_within(self.child.exited.wait(), self._seconds)
        if self._stderr:
            self._stderr.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the reading end of stderr, to close it."""
        self._stderr = transport

    def data_received(self, data: bytes) -> None:
        """Keeps the last line of stderr that is not blank; the rest is dropped."""
        *finished, self._line = re.split(rb"[\r\n]", self._line + data)
        self._line = self._line[:_KEPT]
        for line in (*finished, self._line):
            if line.strip():
                self._last_line = line[:_KEPT]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Records the end of stderr."""
        self._silent.set()

    async def _ended(self) -> None:
        """Waits until the shell, or the program that replaced it, has ended, and others that have its stderr."""
        if self.child:
            await self.child.exited.wait()
            await self._silent.wait()


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
            carrier, argv, env = theirs.fileno(), (shell, "-c", f"exec {line}"), environment()
            proxy.child = Child(argv, stdin=carrier, stdout=carrier, stderr=subprocess.PIPE, env=env)
        await asyncio.get_running_loop().connect_read_pipe(lambda: proxy, proxy.child.popen.stderr)
    except BaseException as error:
        ours.close()
        if proxy.child:
            proxy.child.end()
            await proxy.child.exited.wait()
        if isinstance(error, OSError):
            why = f"cannot run ProxyCommand with {shell}: {error.strerror}"
            raise HopFailed("ssh_config", why) from None
        raise
    return proxy


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
