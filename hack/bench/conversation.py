"""What both ways into the pod promise, so that every row is measured by the same lines of code."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

LIMIT = 90.0  # seconds that any one wait may take
CHUNK = 32 * 1024  # bytes given to either way at a time
COLUMNS, ROWS = 80, 24

Sink = Callable[[bytes], object]


class BenchError(Exception):
    """A sample that cannot be counted: something was cut, wrong or late. The message is one line for a person."""


@dataclass(frozen=True)
class Asked:
    """A command in the pod, with a terminal or with pipes."""

    argv: tuple[str, ...]
    tty: bool = False
    stdin: bool = True


class Conversation(Protocol):
    """One running command. Every method waits at most LIMIT seconds and raises BenchError."""

    def until(self, marker: bytes) -> bytes:
        """Reads up to the end of `marker`, returns all before it; what follows waits for the next call."""
        ...

    def fetch(self, count: int, sink: Sink | None = None) -> None:
        """Reads exactly `count` bytes, each part into `sink`."""
        ...

    def send(self, data: bytes) -> None:
        """Input for the command, all of it."""
        ...

    def send_eof(self) -> None:
        """End of input."""
        ...

    def echo(self, key: bytes) -> float:
        """Seconds from giving one byte until the same byte is back."""
        ...

    def end(self) -> bytes:
        """Reads to the end, returns what was left; the command must have succeeded."""
        ...

    def close(self) -> None:
        """Frees everything, whatever state it is in."""
        ...


class Way(Protocol):
    """A way into the pod."""

    name: str

    def open(self, asked: Asked) -> Conversation:
        """Starts the command as a user would, from nothing."""
        ...


def noise(count: int) -> tuple[bytes, str]:
    """Bytes that nothing can guess, and their sha256."""
    data = os.urandom(count)
    return data, hashlib.sha256(data).hexdigest()
