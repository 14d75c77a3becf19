"""The contract of a process at the far side of an exec channel, however the channel is carried: over SSH today."""

from collections.abc import Callable
from typing import Protocol

from gateway.errors import HopFailed
from gateway.protocol.target import TerminalSize


class Process(Protocol):
    """One running command line, read at full speed: what channels, links, bootstraps and leases use of it."""

    async def read(self) -> list[tuple[int, bytes]]:
        """Returns (1 or 2, bytes) for stdout and stderr: all that has come and at least one; empty once the channel is
        closed. Cancelling is safe.
        """
        ...

    def deliver(self, sink: Callable[[int, bytes], None]) -> None:
        """Calls `sink` with what comes from now on, in place of `read`. The sink must not raise."""
        ...

    def send(self, data: bytes) -> None:
        """Sends bytes to the process at once; who calls it bounds by other means what waits here."""
        ...

    @property
    def full(self) -> bool:
        """True while so much input waits here that no more should be sent."""
        ...

    def on_drained(self, call: Callable[[], None]) -> None:
        """Calls `call` whenever the process is no longer `full`. The call must not raise."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends bytes to the process, and waits while too many wait here. After the end: no effect."""
        ...

    def write_eof(self) -> None:
        """Ends the input."""
        ...

    def resize(self, size: TerminalSize) -> None:
        """Tells the process's terminal its new size."""
        ...

    def terminate(self) -> None:
        """Asks for SIGTERM at the far side."""
        ...

    @property
    def exit_code(self) -> int | None:
        """The carrier's own code for the process; None when the channel was cut off."""
        ...

    @property
    def closed(self) -> bool:
        """True once nothing of the channel is left."""
        ...

    @property
    def lost(self) -> bool:
        """True once the connection under the channel went away."""
        ...

    def failure(self) -> HopFailed:
        """Returns the error that says why the connection went away."""
        ...

    async def wait_closed(self) -> None:
        """Waits until both sides have closed the channel."""
        ...

    def close(self) -> None:
        """Asks for the end of the channel; returns at once."""
        ...
