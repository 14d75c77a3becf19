"""Checks whether the disk takes a journal's spool, without a wait of the loop."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Any

from .loop import Loop
from .spool import Spools, nameless_file

_TRIED = 65536  # bytes: a full disk may have space for a few
_PATIENCE = 5.0  # seconds for the disk to take them
_LOOK = 0.005  # seconds between looks


class DiskCheck:
    """Writes 64 KiB where a journal would, and frees them, once the writer has done what it was given before."""

    def __init__(self, directory: str, spools: Spools) -> None:
        self._directory = directory
        self._until = time.monotonic() + _PATIENCE
        self._said: dict[str, Any] | None = None
        spools.put(self._try)

    def run(self, loop: Loop, answer: Callable[[dict[str, Any]], None]) -> None:
        """Calls `answer` with what EXIT says of a check: code 0, or why the disk does not take a spool."""
        said = self._said
        if said is None and time.monotonic() > self._until:
            said = {"error": os.strerror(errno.ETIMEDOUT), "errno": errno.ETIMEDOUT}
        if said is None:
            loop.later(_LOOK, lambda: self.run(loop, answer))
        else:
            answer(said)

    def _try(self) -> None:
        try:
            handle = nameless_file(self._directory)
            try:
                os.pwrite(handle, bytes(_TRIED), 0)
            finally:
                os.close(handle)
            self._said = {"code": 0}
        except OSError as error:
            self._said = {"error": os.strerror(error.errno or errno.EIO), "errno": error.errno}
