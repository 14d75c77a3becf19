"""Does `dap with` and `dap kubectl`: runs a command with a kubeconfig of its own, which leads to the gateway."""

import asyncio
import json

from gateway import private_file
from gateway.cli import child, signals
from gateway.cli.connect import gateway
from gateway.cli.kubeconfig.document import fetched
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
            return await child.run(argv, {"KUBECONFIG": str(path)})
