"""Draws the progress of a copy on a terminal: one line on stderr, which is gone in the end."""

import os
import shutil
import sys
import time

from gateway.cli.console import safe

_REDRAW = 0.1  # seconds
_SPAN = 5.0  # seconds whose rate is shown
_UNITS = ("B", "kB", "MB", "GB", "TB")


class CopyProgress:
    """Draws where stderr is a terminal, unless `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        self._draws = not quiet and os.isatty(2)
        self._drawn = 0.0
        self._seen: list[tuple[float, int]] = []  # when how much was copied

    def __call__(self, done: int, total: int, name: str) -> None:
        """Shows how far the copy is."""
        now = time.monotonic()
        if not self._draws or now - self._drawn < _REDRAW:
            return
        self._drawn = now
        self._seen = [one for one in self._seen if one[0] > now - _SPAN and one[1] <= done] + [(now, done)]
        seconds, count = now - self._seen[0][0], done - self._seen[0][1]
        rate = count / seconds if seconds else 0
        left = f", {span((total - done) / rate)} left" if rate and total > done else ""
        text = f"{done * 100 // total if total else 100:3d}%  {amount(done)} of {amount(total)}  {amount(rate)}/s{left}  {safe(name)}"
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\033[K{text[:width]}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Removes the line."""
        if self._draws and self._drawn:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def amount(count: float) -> str:
    """Returns a number of bytes for people."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


def span(seconds: float) -> str:
    """Returns a time as 0:07 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
