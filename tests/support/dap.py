"""Runs `dap` as people do: a process of its own, with pipes or on a terminal."""

import asyncio
import contextlib
import fcntl
import logging
import os
import pty
import signal
import struct
import sys
import tempfile
import termios
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

DAP = (sys.executable, "-m", "gateway")
_HERE = Path(__file__).parent
_IMPORTS = f"{_HERE / 'installed'}{os.pathsep}{_HERE.parents[1]}"


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    code: int
    out: bytes
    err: str


@dataclass(frozen=True)
class Home:
    """An empty home: no settings, no gateway, no agent."""

    path: Path

    @property
    def env(self) -> dict[str, str]:
        """All that a process of ours sees."""
        return {
            "HOME": str(self.path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm",
            "XDG_RUNTIME_DIR": str(self.path / "run"), "XDG_CONFIG_HOME": str(self.path / "config"),
            "XDG_STATE_HOME": str(self.path / "state"), "PYTHONPATH": _IMPORTS,
            "PYTHONWARNINGS": "error", "DAP_GATEWAY_TLS_LISTEN": "none",  # a fixed port is one test's at a time
            "SSL_CERT_FILE": os.devnull,  # to read all public authorities takes each process 0.1 s of a processor
        }  # fmt: skip

    @property
    def socket(self) -> Path:
        """Where `dap` looks for a gateway."""
        return self.path / "run" / "dap" / "gateway.sock"

    async def start(self, *arguments: str, env: Mapping[str, str] = {}, **settings: Any) -> Process:
        """Starts `dap`; stdin, stdout and stderr are pipes unless given."""
        pipes = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE} | settings
        return await asyncio.create_subprocess_exec(*DAP, *arguments, env=self.env | dict(env), **pipes)

    async def dap(
        self, *arguments: str, data: bytes = b"", env: Mapping[str, str] = {}, **settings: Any
    ) -> Done:  # fmt: skip
        """Runs it to its end."""
        process = await self.start(*arguments, env=env, **settings)
        out, err = await process.communicate(data if process.stdin else None)
        assert process.returncode is not None
        return Done(process.returncode, out or b"", (err or b"").decode())


@contextlib.contextmanager
def log_as_before() -> Iterator[None]:
    """Has what the block sets up of the log, for us and for libraries, end with it."""
    root = logging.root
    found, level, loud, off = root.handlers[:], root.level, logging.raiseExceptions, root.manager.disable
    configured, ours = structlog.is_configured(), structlog.get_config()
    try:
        yield
    finally:
        structlog.configure(**ours) if configured else structlog.reset_defaults()
        root.handlers[:] = found
        root.setLevel(level)
        logging.raiseExceptions = loud
        logging.disable(off)


@contextlib.contextmanager
def environment(home: Home, env: Mapping[str, str]) -> Iterator[pytest.MonkeyPatch]:
    """Has this process see what `dap` of that home would, and nothing else, within the block."""
    seen = home.env | dict(env)
    with pytest.MonkeyPatch.context() as patch, log_as_before():
        patch.setattr(tempfile, "tempdir", None)  # where that is, is asked once
        for name in os.environ:
            patch.delenv(name)
        for name, value in seen.items():
            patch.setenv(name, value)
        yield patch


# Leads the session, so that its terminal outlives `dap` and can be looked at: tells dap's pid and status.
_LEADER = """
trap : INT QUIT HUP TERM
sh -c 'echo $$ >&9; exec "$@" 8<&- 9>&-' sh "$@"
echo $? >&9
read _ <&8
"""


class Screen:
    """The person's end of a pseudo-terminal with `dap` on the other."""

    def __init__(self, master: int, slave: int, reports: asyncio.StreamReader) -> None:
        self.master = master
        self._found = termios.tcgetattr(slave)
        self._slave = slave
        self._reports = reports
        self.pid = 0
        self.seen = b""
        self.restored = False  # after the end: the terminal is as it was

    def type(self, data: bytes) -> None:
        """Keys."""
        os.write(self.master, data)

    def resize(self, columns: int, rows: int) -> None:
        """The window's new size; the kernel sends SIGWINCH."""
        _set_size(self.master, columns, rows)

    @property
    def untouched(self) -> bool:
        """Whether the terminal is as it was before."""
        return termios.tcgetattr(self._slave) == self._found

    @property
    def raw(self) -> bool:
        """Whether keys go to the program as they are."""
        return not termios.tcgetattr(self._slave)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)

    @property
    def echoing(self) -> bool:
        """Whether the terminal itself shows what is typed."""
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    @property
    def unread(self) -> int:
        """Bytes that were typed and not read yet."""
        return int.from_bytes(fcntl.ioctl(self._slave, termios.FIONREAD, bytes(4)), sys.byteorder)

    def reset(self) -> None:
        """As a shell does when its job stops."""
        termios.tcsetattr(self._slave, termios.TCSANOW, self._found)

    async def hang_up(self) -> int:
        """Closes the person's end, for good, and returns the exit status."""
        nothing, writer = os.pipe()
        os.dup2(nothing, self.master)
        for fd in (nothing, writer):
            os.close(fd)
        return int(await self._reports.readline())

    async def started(self) -> None:
        """Waits for its pid."""
        self.pid = int(await self._reports.readline())

    async def until(self, marker: bytes) -> bytes:
        """What was shown up to and with `marker`."""
        while marker not in self.seen:
            self.seen += await self._read()
        shown, marker, self.seen = self.seen.partition(marker)
        return shown + marker

    async def ended(self) -> int:
        """Waits for the end; what was shown last is in `seen`."""
        code = int(await self._reports.readline())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                while more := await self._read():
                    self.seen += more
        self.restored = self.untouched
        return code

    async def _read(self) -> bytes:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self.master, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
            return os.read(self.master, 65536)
        finally:
            loop.remove_reader(self.master)


@asynccontextmanager
async def on_a_terminal(
    home: Home, *arguments: str, size: tuple[int, int] = (80, 24), env: Mapping[str, str] = {}
) -> AsyncIterator[Screen]:  # fmt: skip
    """`dap` on a terminal of its own."""
    master, slave = pty.openpty()
    report_out, report_in = os.pipe()
    hold_out, hold_in = os.pipe()
    process = None

    def lead() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.dup2(hold_out, 8)
        os.dup2(report_in, 9)

    try:
        _set_size(master, *size)
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", _LEADER, "sh", *DAP, *arguments, env=home.env | dict(env),
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=lead,
            pass_fds=(8, 9),
        )  # fmt: skip
        os.close(report_in)
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(report_out, "rb", 0)
        )
        screen = Screen(master, slave, reader)
        await screen.started()
        yield screen
        transport.close()
    finally:
        os.close(hold_in)
        if process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        for fd in (master, slave, hold_out):
            os.close(fd)


def _set_size(fd: int, columns: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
