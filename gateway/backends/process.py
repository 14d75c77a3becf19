"""The contract of a process at the far side of an exec channel, however the channel is carried: over SSH today."""

from collections.abc import Callable
from typing import Protocol

from gateway.errors import HopFailed
from gateway.protocol.target import TerminalSize


class Process(Protocol):
    """One running command line, read at full speed: what channels, links, bootstraps and leases use of it."""

    async def read(self) -> list[tuple[int, bytes]]:
        """Returns chunks of output, each with 1 for stdout or 2 for stderr: waits for at least one; empty once the
        channel is closed and all was read. Cancelling is safe.
        """
        ...

    def deliver(self, sink: Callable[[int, bytes], None]) -> None:
        """Calls `sink` with each chunk that `read` has not returned and that arrives from now on. The sink must not
        raise.
        """
        ...

    def send(self, data: bytes) -> None:
        """Sends bytes to the process without waiting; the caller must bound what waits to be sent. After the end: no
        effect.
        """
        ...

    @property
    def full(self) -> bool:
        """True while so much input waits to be sent that the caller should stop sending."""
        ...

    def on_drained(self, call: Callable[[], None]) -> None:
        """Calls `call` whenever the process is no longer `full`. The call must not raise."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends bytes to the process; waits while too many bytes wait to be sent. After the end: no effect."""
        ...

    def write_eof(self) -> None:
        """Ends the process's input."""
        ...

    def resize(self, size: TerminalSize) -> None:
        """Sets the size of the process's terminal."""
        ...

    def terminate(self) -> None:
        """Asks the far side to send SIGTERM to the process."""
        ...

    @property
    def exit_code(self) -> int | None:
        """The carrier's own code for the process; None when the channel was cut off."""
        ...

    @property
    def closed(self) -> bool:
        """True once the channel is closed on both sides."""
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
