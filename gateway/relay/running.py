"""Holds what every running command has, whether it is a process here or one that the cluster's API runs in a pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .journal import Journal
from .loop import Loop, OwnLoop


class Input(Protocol):
    """Takes a command's input. `wrote` is called with the number of bytes taken or dropped; `received` counts the bytes
    that came.
    """

    wrote: Callable[[int], None]
    received: int

    @property
    def waiting(self) -> int:
        """Returns how many bytes the command has not taken yet."""
        ...

    def write_eof(self) -> None:
        """Ends the input, behind all that was written; does nothing in a terminal."""


class Running:
    """Keeps a command's output in `journal`. `changed` is called when the journal, `started` or `result` changes;
    `result` is what EXIT says, set after all output is in the journal: then `over` is called, once, and `changed` after it.
    """

    input: Input

    def __init__(self, loop: Loop, journal: Journal) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.over: Callable[[], None] = lambda: None
        self.journal = journal
        self.sent = self.pid = 0  # bytes of it that a link has taken; of the process here, if there is one
        self.started = False
        self.result: dict[str, Any] | None = None
        self._loop = OwnLoop(loop, self.defect)

    @property
    def pids(self) -> list[int]:
        """Returns the processes beside `pid` whose log lines in stderr are kubectl's; they may become more."""
        return []

    @property
    def about(self) -> dict[str, Any]:
        """Returns what STARTED says of the command beside the offset."""
        return {"pid": self.pid, **({"pids": self.pids} if self.pids else {})}

    @property
    def cut(self) -> bool:
        """True if the command did not end by itself: something of it may be left."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Sends input to the command."""
        raise NotImplementedError

    def resize(self, size: tuple[int, int]) -> None:
        """Sets the terminal's size; without a terminal, or with a zero in `size`, does nothing."""
        raise NotImplementedError

    def signal(self, number: int) -> None:
        """Sends the signal to the command's process group, if that is here and has not ended."""

    def end(self) -> None:
        """Ends the command; drops all output, also what it still writes."""
        raise NotImplementedError

    def defect(self, error: Exception) -> None:
        """Ends the command at once because a call of its own raised; `result` says why. Other commands go on."""
        raise NotImplementedError
