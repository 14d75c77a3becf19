"""A process that leads a session of its own, and whose number stays its own for as long as it may be signalled.

The kernel gives the number of a process to no other before somebody has waited for the process. So its end is looked
at without waiting (WNOWAIT), signals go out while it is a zombie, and `end` waits for it last.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

_UNKNOWN = 255  # as asyncio says it


class Child:
    """Starts `argv`; `pipes` are stdin, stdout and stderr of `subprocess.Popen`, whose own ends are in `popen`. Call
    `end` in any case. `exited` is set once the process has ended; what it has started may still run.
    """

    def __init__(self, argv: Sequence[str], **pipes: Any) -> None:
        self.exited = asyncio.Event()
        self.status: int | None = None  # its exit status, negative for a signal; None while it runs
        self.popen = subprocess.Popen(argv, bufsize=0, start_new_session=True, **pipes)  # noqa: S603  # no shell
        self.pid = self.popen.pid
        self.popen.returncode = 0  # it waits for nobody: that is done here
        self._loop = asyncio.get_running_loop()
        self._over = self._reaped = False
        threading.Thread(target=self._look, name="child", daemon=True).start()

    def send(self, number: int) -> None:
        """Signals the process and all of its group. After `end`: no effect."""
        if not self._over:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def end(self) -> None:
        """Kills what is left of the process and its group, and gives its number back once the process has ended."""
        self.send(signal.SIGKILL)
        self._over = True
        if self.exited.is_set():
            self._reap()

    def _look(self) -> None:
        """Waits for the end of the process, in a thread of its own."""
        try:
            status = self._wait()
        except ChildProcessError:  # SIGCHLD is ignored: nobody learns how it ended
            self._over, self._reaped, status = True, True, _UNKNOWN
        try:
            self._loop.call_soon_threadsafe(self._has_exited, status)
        except RuntimeError:  # the loop is closed, and nobody left who could send a signal
            self._reap()

    def _wait(self) -> int:
        if (
            sys.platform == "darwin"
        ):  # which has no waitid before Python 3.13: the number is free from here on
            _, raw = os.waitpid(self.pid, 0)
            self._reaped = True
            return os.waitstatus_to_exitcode(raw)
        about = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert about
        return about.si_status if about.si_code == os.CLD_EXITED else -about.si_status

    def _has_exited(self, status: int) -> None:
        self.status = status
        self.exited.set()
        if self._over:
            self._reap()

    def _reap(self) -> None:
        if not self._reaped:
            self._reaped = True
            os.waitpid(self.pid, 0)
