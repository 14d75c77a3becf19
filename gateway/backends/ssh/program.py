"""Runs a program of the user's or of OpenSSH's to its end, without a shell and within a limit."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from gateway.backends.ssh.child import Child
from gateway.settings.names import GATEWAY_SETTINGS

_SAID = 300  # characters of a program's last words


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


def environment() -> dict[str, str]:
    """Returns the environment of this process without settings that are secrets: what the programs of the user's SSH
    settings start has no need of the gateway's token.
    """
    secret = {row.env for row in GATEWAY_SETTINGS if row.secret}
    return {name: value for name, value in os.environ.items() if name not in secret}


async def run(argv: Sequence[str], *, given: bytes | None = None, seconds: float) -> Ended:
    """Runs `argv` with `given` as its input, or without input, and returns how the program ended. Its process group
    is killed when the program has ended, after `seconds` and when the call is cancelled. Raises TimeoutError after
    `seconds`, and OSError where the program cannot be started.
    """
    child = _start(argv, given)
    try:
        async with asyncio.timeout(seconds):
            output, errors = await _read_both(child)
            await child.exited.wait()
    finally:
        child.end()
        await child.exited.wait()
        for pipe in (child.popen.stdout, child.popen.stderr):
            if pipe:
                pipe.close()
    return Ended(child.status or 0, output, errors.decode("utf-8", "replace"))


def _start(argv: Sequence[str], given: bytes | None) -> Child:
    pipe, env = subprocess.PIPE, environment()
    if given is None:
        return Child(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=env)
    with tempfile.TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        return Child(argv, stdin=stdin, stdout=pipe, stderr=pipe, env=env)


async def _read_both(child: Child) -> tuple[bytes, bytes]:
    assert child.popen.stdout
    assert child.popen.stderr
    async with asyncio.TaskGroup() as tasks:
        output = tasks.create_task(_read(child.popen.stdout))
        errors = tasks.create_task(_read(child.popen.stderr))
    return output.result(), errors.result()


async def _read(pipe: IO[bytes]) -> bytes:
    """Returns all that comes before the end of the pipe, and closes the pipe."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        return await reader.read()
    finally:
        transport.close()
