"""Stores the names of sessions whose end this gateway has not seen. A relay's list is believed for these alone: root in
the runner can show the signed record of a session that has ended, as often as it likes.
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()
_MOST = 4096  # names; the oldest goes first
_LINES = 4 * _MOST  # lines in the file, after which it is written anew
_LINE = re.compile(r"([+-])([\w.-]{1,64})", re.ASCII)


class LiveSessions:
    """Holds names of sessions, and appends each change to the file at `path` for the next process of this gateway. A
    thread of its own writes, in order: a disk may be slow. Without `path` the names last as long as this process.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._names: dict[str, None] = {}
        self._lines = _LINES
        self._writer = ThreadPoolExecutor(1, "live-sessions")
        with suppress(OSError):
            for sign, name in _LINE.findall(path.read_text("ascii", "replace") if path else ""):
                self._change(sign, name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        """Adds a session that begins."""
        self._change("+", name)
        self._write(f"+{name}\n")

    def remove(self, name: str) -> None:
        """Removes a session that has ended, or is to end."""
        if name in self._names:
            self._change("-", name)
            self._write(f"-{name}\n")

    def close(self) -> None:
        """Waits until the file has every change."""
        self._writer.shutdown()

    def _change(self, sign: str, name: str) -> None:
        self._names.pop(name, None)
        if sign == "+":
            self._names[name] = None
            if len(self._names) > _MOST:
                del self._names[next(iter(self._names))]

    def _write(self, line: str) -> None:
        if self._path is None:
            return
        self._lines += 1
        whole = self._lines > _LINES
        if whole:
            line, self._lines = "".join(f"+{name}\n" for name in self._names), len(self._names)
        self._writer.submit(_store, self._path, line.encode("ascii"), whole=whole)


def _store(path: Path, text: bytes, *, whole: bool) -> None:
    """Appends to the file, or puts a new file in its place. Logs a file that cannot be written."""
    target = path.with_suffix(".new") if whole else path
    try:
        if whole:
            target.unlink(missing_ok=True)
        with os.fdopen(
            os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "wb"
        ) as file:
            file.write(text)
        if whole:
            target.replace(path)
    except OSError as error:
        log.warning("live_sessions_not_kept", error=str(error))
