"""Runs one session channel: a command line in the user's shell, as sshd runs it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from gateway.demo.stdio import Plumbing, Terminal, open_pipes, open_terminal

# The shell of a terminal session opens its terminal by name first: that makes it the controlling one
# (a session leader without any gets it so), and needs no code of ours between fork and exec.
_TAKE_TERMINAL = ': <>"$0"; exec "$1" -c "$2"'
_LOGIN = "exec /bin/sh -l"
_SIGNALS = frozenset(  # RFC 4254 section 6.10
    ("ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2")
)
_CHECK_SECONDS = 0.2
_CANNOT_RUN = 126


@dataclass(frozen=True)
class Account:
    """Describes the user whom every login becomes."""

    home: Path
    environment: dict[str, str]
    shell: str = "/bin/sh"


class Session(asyncssh.SSHServerSession[bytes]):
    """Runs one session of the SSH server. `begin` gets the session's only task to run; `release` is called
    once, when nothing of it is left.

    `leaders` holds the process group of the command while it runs.

    When the client closes the channel, a terminal hangs up; a command on pipes lives on, as under sshd, and
    keeps its slot among the connection's sessions.
    """

    _channel: asyncssh.SSHServerChannel[bytes]

    def __init__(
        self,
        account: Account,
        begin: Callable[[Coroutine[Any, Any, None]], None],
        leaders: set[int],
        release: Callable[[], None],
    ) -> None:
        self._account = account
        self._begin = begin
        self._leaders = leaders
        self._release = release
        self._terminal: Terminal | None = None
        self._plumbing: Plumbing | None = None
        self._line = _LOGIN
        self._pid: int | None = None
        self._lost = asyncio.Event()
        self._flushed = asyncio.Event()
        self._flushed.set()

    # What asyncssh tells us

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        self._terminal = Terminal(term_type, term_size, dict(term_modes))
        return True

    def shell_requested(self) -> bool:
        return self.exec_requested(_LOGIN)

    def exec_requested(self, command: str) -> bool:
        self._line = command
        try:
            self._plumbing = open_terminal(self, self._terminal) if self._terminal else open_pipes(self)
        except OSError:
            return False
        return True

    def session_started(self) -> None:
        if self._plumbing:
            self._begin(self._run(self._plumbing))

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        del datatype  # a client has one stream
        if self._plumbing:
            self._plumbing.write(data)

    def eof_received(self) -> bool:
        if self._plumbing:
            self._plumbing.write_eof()
        return True  # our output goes on

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._plumbing:
            self._plumbing.resize((width, height, pixwidth, pixheight))

    def signal_received(self, signal: str) -> None:
        if self._pid is not None and signal in _SIGNALS:
            _signal_group(self._pid, signal)

    def pause_writing(self) -> None:
        self._flushed.clear()
        if self._plumbing:
            self._plumbing.pause()

    def resume_writing(self) -> None:
        self._flushed.set()
        if self._plumbing:
            self._plumbing.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._lost.set()
        self._flushed.set()
        if self._plumbing:
            self._plumbing.close()
        else:
            self._release()

    # What the plumbing tells us

    def stdout(self, data: bytes) -> None:
        if not self._channel.is_closing():
            self._channel.write(data)

    def stderr(self, data: bytes) -> None:
        if not self._channel.is_closing():
            self._channel.write_stderr(data)

    def stall(self) -> None:
        self._channel.pause_reading()
        self._notice_close()

    def proceed(self) -> None:
        self._channel.resume_reading()

    def _notice_close(self) -> None:
        """Closes the plumbing once the client has closed; looks again while input is stalled, since asyncssh
        keeps the close to itself as long as data waits in front of it.
        """
        if self._channel.is_closing():
            if self._plumbing:
                self._plumbing.close()
        elif self._plumbing and self._plumbing.stalled:
            asyncio.get_running_loop().call_later(_CHECK_SECONDS, self._notice_close)

    # The session's task

    async def _run(self, plumbing: Plumbing) -> None:
        try:
            status = await self._execute(plumbing)
            await self._report(status)
            await self._lost.wait()
        finally:
            plumbing.close()
            self._release()

    async def _execute(self, plumbing: Plumbing) -> int:
        """Returns the exit status, negative for a signal, when the command has ended and its output is sent."""
        try:
            process = await self._spawn(plumbing)
        except (OSError, ValueError) as error:
            self.stderr(f"{self._account.shell}: {error}\n".encode())
            return _CANNOT_RUN
        finally:
            plumbing.started()
        self._pid = process.pid
        self._leaders.add(process.pid)
        try:
            status = await process.wait()
        finally:
            self._leaders.discard(process.pid)
            self._pid = None
        await plumbing.drain()
        return status

    async def _spawn(self, plumbing: Plumbing) -> asyncio.subprocess.Process:
        stdin, stdout, stderr = plumbing.child
        line = self._line.encode()
        environment = dict(self._account.environment)
        environment |= {
            name: value
            for name, value in self._channel.get_environment().items()
            if name == "LANG" or name.startswith("LC_")  # what sshd of most systems accepts
        }
        shell = self._account.shell
        arguments: tuple[str | bytes, ...] = (shell, "-c", line)
        if self._terminal:
            environment["TERM"] = self._terminal.name
            arguments = ("/bin/sh", "-c", _TAKE_TERMINAL, os.ttyname(stdin), shell, line)
        return await asyncio.create_subprocess_exec(
            *arguments,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=self._account.home,
            start_new_session=True,
        )

    async def _report(self, status: int) -> None:
        if not self._lost.is_set():
            self._channel.set_write_buffer_limits(high=0)  # to hear when the last byte has gone
            await self._flushed.wait()
        if self._channel.is_closing():
            return
        self._channel.write_eof()
        if status < 0:
            self._channel.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            self._channel.exit(status)


def _signal_group(pid: int, name: str) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.Signals[f"SIG{name}"])
