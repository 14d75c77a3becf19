"""Runs a program of the user's or of OpenSSH's to its end, without a shell and within a limit."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.settings.names import GATEWAY_SETTINGS

_SAID = 300  # characters of a program's last words


def environment() -> dict[str, str]:
    """Returns the environment of this process without settings that are secrets: what the programs of the user's SSH
    settings start has no need of the gateway's token.
    """
    secret = {row.env for row in GATEWAY_SETTINGS if row.secret}
    return {name: value for name, value in os.environ.items() if name not in secret}


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status (negative: the signal), what it wrote to stdout and to stderr."""

    status: int
    output: bytes
    errors: str

    @property
    def words(self) -> str:
        """The last line of stderr, shortened; empty without output."""
        lines = self.errors.strip().splitlines()
        return lines[-1][:_SAID] if lines else ""


async def run(argv: Sequence[str], *, given: bytes | None = None, seconds: float) -> Ended:
    """Runs `argv` with `given` as its input, or without input, and returns how the program ended. Its process group
    is killed when the program has ended, after `seconds` and when the call is cancelled. Raises TimeoutError after
    `seconds`, and OSError where the program cannot be started.
    """
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=nothing if given is None else pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
        env=environment(),
    )
    try:
        async with asyncio.timeout(seconds):
            output, errors = await process.communicate(given)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return Ended(process.returncode or 0, output, errors.decode("utf-8", "replace"))
