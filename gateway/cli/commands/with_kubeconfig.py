"""Does `dap with` and `dap kubectl`: runs a command with a kubeconfig of its own, which leads to the gateway."""

import asyncio
import json
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway import private_file
from gateway.cli import signals
from gateway.cli.connect import gateway
from gateway.cli.console import say
from gateway.cli.kubeconfig.document import fetched
from gateway.client.exit_status import CANNOT_RUN, NOT_FOUND
from gateway.errors import why
from gateway.private_directory import private_directory
from gateway.settings.loader import load


def run(argv: tuple[str, ...], cluster: str, *, quiet: bool) -> int:
    """Runs the command and returns its exit status; 128 + N where signal N ended it. `cluster`: of the current context.
    Raises GatewayFailed, ConfigError, OSError.
    """
    return signals.run(_run(argv, cluster, quiet=quiet))


async def _run(argv: tuple[str, ...], cluster: str, *, quiet: bool) -> int:
    config = load()
    async with gateway(config, quiet=quiet, tls=True) as endpoint:
        # it asks the cluster for its namespace: what SSH wants to know is asked before the command has the terminal
        document = await asyncio.to_thread(fetched, config, endpoint, cluster)
        with private_directory() as directory:
            path = directory / "kubeconfig"
            private_file.write(path, json.dumps(document))
            return await _status(argv, path)


async def _status(argv: tuple[str, ...], kubeconfig: Path) -> int:
    try:
        async with _started(argv, kubeconfig) as process:
            with signals.passed_on(process):
                code = await process.wait()
    except OSError as error:
        say(f"{argv[0]}: {why(error)}")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
    return code if code >= 0 else 128 - code


@asynccontextmanager
async def _started(argv: tuple[str, ...], kubeconfig: Path) -> AsyncIterator[Process]:
    """Starts the command with our standard streams, and ends it where the block ends before it does. Raises OSError."""
    env = os.environ | {"KUBECONFIG": str(kubeconfig)}
    process = await asyncio.create_subprocess_exec(*argv, env=env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
