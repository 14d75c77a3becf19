"""kubectl itself, unmodified, in front of a gateway, by way of TLS as behind a proxy."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from support.served import TOKEN, config_for, served
from support.tls_front import listener, tls_front

from gateway.settings.config import Cluster

# what kubectl up to 1.33 now and then says of the first, empty message of a stream that it has not made yet
RACE = re.compile(rb"E\d{4} .* Unknown stream id \d, discarding message\n")


@dataclass
class Kubectl:
    """Runs kubectl with the kubeconfig at `config`. `directory`: for its cache; `program`: which kubectl."""

    config: Path
    directory: Path
    program: Path

    async def __call__(self, *words: str, given: bytes = b"", **env: str) -> tuple[int | None, bytes, bytes]:
        """Runs it with input, and returns exit code, stdout and stderr."""
        process = await self.start(*words, **env)
        try:
            out, err = await asyncio.wait_for(process.communicate(given), 60)
        except TimeoutError:
            process.send_signal(signal.SIGQUIT)  # Go says what each of its goroutines waits for
            _, err = await process.communicate()
            where = f"{self.program} {' '.join(words)} with {self.config}"
            raise TimeoutError(f"{where} did not end:\n{err.decode(errors='replace')}") from None
        return process.returncode, out, err

    async def start(self, *words: str, **env: str) -> asyncio.subprocess.Process:
        """Starts it with three pipes."""
        return await asyncio.create_subprocess_exec(
            self.program, "--kubeconfig", self.config, "--cache-dir", self.directory / "cache", *words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env},
        )  # fmt: skip


# where `hack/clients kubectl` puts it
_INSTALLED = Path(__file__).parents[1] / "clients" / "kubectl" / "bin" / "kubectl"


def programs() -> dict[str, Path]:
    """Returns the real chain's own kubectl, every kubectl.1.NN beside a kubectl of this machine, and what `hack/clients` has
    installed.
    """
    found = {"own": Path(os.environ.get("DAP_LAB_KUBECONFIG", "/none/none")).parents[1] / "bin" / "kubectl"}
    for name in filter(None, (shutil.which("kubectl"),)):
        for path in sorted(Path(name).resolve().parent.glob("kubectl.1.*")):
            found[path.name.removeprefix("kubectl.")] = path
    return found | ({"1.37": _INSTALLED} if _INSTALLED.exists() else {})


def any_kubectl() -> Path | None:
    """Returns the real chain's kubectl, else the latest kubectl.1.NN, else the one that the shell finds, if there is one."""
    found = programs()
    own = found.pop("own")
    if "DAP_LAB_KUBECONFIG" in os.environ:
        return own
    shells = shutil.which("kubectl")
    return next(reversed(found.values()), Path(shells) if shells else None)


@asynccontextmanager
async def kubectl_at(cluster: Cluster, directory: Path) -> AsyncIterator[Kubectl]:
    """Yields kubectl in front of a gateway of that cluster."""
    sock, host = listener()
    config = replace(config_for(cluster), public_url=f"https://{host}")
    async with served(config, directory) as gateway, tls_front(sock, gateway.url) as certificate:
        path = directory / "kubeconfig"
        path.write_text(json.dumps(kubeconfig(f"https://{host}", certificate)))
        yield Kubectl(path, directory, programs()["own"])


def kubeconfig(server: str, certificate: str) -> dict[str, object]:
    """Returns a kubeconfig with the gateway's own token."""
    trust = b64encode(certificate.encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": server, "certificate-authority-data": trust}}],
        "users": [{"name": "x", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }
