"""Sets the local terminal: raw while a session has it, and as it was afterwards, whatever happens.

Three states. *cooked*: as we found it. *waiting*: nothing is echoed and nothing read, so that what is typed
early waits in the kernel for its program, but Ctrl-C still ends `dap`. *raw*: every key is the program's.
"""

import asyncio
import contextlib
import os
import signal
import termios
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Self

from gateway.cli.console import safe
from gateway.cli.terminal.stdio import readable
from gateway.protocol.target import TerminalSize

_IFLAG, _OFLAG, _CFLAG, _LFLAG, _CC = 0, 1, 2, 3, 6


class Terminal:
    """Sets the terminal behind a file descriptor. A context manager: *waiting* on entry, *cooked* on exit."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._cooked: list[Any] | None = None
        self._now: list[Any] | None = None
        self.was_raw = False

    def __enter__(self) -> Self:
        self._cooked = termios.tcgetattr(self._fd)
        attributes = _raw(self._cooked)
        attributes[_LFLAG] |= termios.ISIG
        attributes[_OFLAG] = self._cooked[_OFLAG]  # only our own lines are printed now
        disabled = os.fpathconf(self._fd, "PC_VDISABLE")
        for key in (termios.VQUIT, termios.VSUSP):
            attributes[_CC][key] = bytes([disabled])
        self._set(attributes)
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def raw(self) -> None:
        """Gives all keys to the program."""
        if self._cooked is not None:
            self._set(_raw(self._cooked))
            self.was_raw = True

    def again(self) -> None:
        """Sets the present state once more, after a stop in which a shell may have set its own."""
        if self._now is not None:
            self._set(self._now)

    def restore(self) -> None:
        """Sets the terminal back to what it was. A terminal that hung up has nothing to restore."""
        if self._cooked is not None:
            with contextlib.suppress(termios.error):
                self._set(self._cooked)
        self._cooked = self._now = None

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Sets *cooked* for a question of ours, and the present state again after it."""
        now = self._now
        if self._cooked is not None:
            self._set(self._cooked)
        try:
            yield
        finally:
            if now is not None:
                self._set(now)

    def _set(self, attributes: list[Any]) -> None:
        # TCSANOW: TCSAFLUSH would throw away what was typed early, TCSADRAIN can wait for ever after ^S
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)
        self._now = attributes


def size() -> TerminalSize | None:
    """Returns the size of the terminal of stdin, stdout or stderr, whichever is one; None without a terminal,
    or when it has no size (0x0).
    """
    for fd in (0, 1, 2):
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(fd)
            return TerminalSize.parse(columns, rows)
    return None


@contextlib.contextmanager
def resized() -> Iterator[asyncio.Event]:
    """Yields an event that every SIGWINCH sets. Several before anyone looks are one: the latest size wins.

    SIGCONT sets it too: while we were stopped, a shell may have changed the terminal, and its size.
    """
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGWINCH, signal.SIGCONT):
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in (signal.SIGWINCH, signal.SIGCONT):
            loop.remove_signal_handler(number)


async def ask(question: str, echo: bool, terminal: Terminal | None = None) -> str | None:
    """Asks on the controlling terminal, never on stdin, and returns the answer; None without a terminal or
    after Ctrl-D. Safe to cancel.
    """
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None
    try:
        with terminal.lent() if terminal else contextlib.nullcontext():
            return await _answer(fd, question, echo)
    finally:
        os.close(fd)


async def _answer(fd: int, question: str, echo: bool) -> str | None:
    before = termios.tcgetattr(fd)
    quiet = deepcopy(before)
    quiet[_LFLAG] &= ~termios.ECHO
    typed = b""
    try:
        if not echo:
            termios.tcsetattr(fd, termios.TCSANOW, quiet)
        os.write(fd, f"{safe(question)} ".encode())  # the host's words, or a file's name
        while not typed.endswith(b"\n"):
            await readable(fd)
            more = os.read(fd, 4096)
            if not more:
                return None  # Ctrl-D
            typed += more
    finally:
        termios.tcsetattr(fd, termios.TCSANOW, before)
        if not echo:
            os.write(fd, b"\n")
    return typed.decode("utf-8", "surrogateescape").rstrip("\r\n")


def _raw(cooked: list[Any]) -> list[Any]:
    """Returns a copy of the attributes, changed as cfmakeraw(3) does."""
    t, attributes = termios, deepcopy(cooked)
    attributes[_IFLAG] &= ~(
        t.IGNBRK | t.BRKINT | t.PARMRK | t.ISTRIP | t.INLCR | t.IGNCR | t.ICRNL | t.IXON
    )  # fmt: skip
    attributes[_OFLAG] &= ~t.OPOST
    attributes[_LFLAG] &= ~(t.ECHO | t.ECHONL | t.ICANON | t.ISIG | t.IEXTEN)
    attributes[_CFLAG] = attributes[_CFLAG] & ~(t.CSIZE | t.PARENB) | t.CS8
    attributes[_CC][t.VMIN], attributes[_CC][t.VTIME] = 1, 0
    return attributes
