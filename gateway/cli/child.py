"""Runs a local command on our standard streams, and passes signals on to it."""

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from gateway.cli import signals
from gateway.cli.console import say
from gateway.client.exit_status import CANNOT_RUN, NOT_FOUND
from gateway.errors import why


async def run(argv: tuple[str, ...], env: Mapping[str, str] | None = None) -> int:
    """Returns the exit status of the command: 128 + N where signal N ended it, 126 and 127 where it cannot be started or is
    not there. `env`: what it has besides our environment.
    """
    try:
        async with _started(argv, os.environ | (env or {})) as process:
            with signals.passed_on(process):
                code = await process.wait()
    except OSError as error:
        say(f"{argv[0]}: {why(error)}")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
    return code if code >= 0 else 128 - code


@asynccontextmanager
async def _started(argv: tuple[str, ...], env: Mapping[str, str]) -> AsyncIterator[Process]:
    """Starts the command, and ends it where the block ends before it does. Raises OSError."""
    process = await asyncio.create_subprocess_exec(*argv, env=env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
