"""Runs a command in all pods behind a name, side by side, and prints what each of them says:

python hack/examples/everywhere.py deploy/api -- cat /etc/os-release
"""

import asyncio
import sys

from gateway.backends.kube import pod as pods
from gateway.backends.kube import workloads
from gateway.client import DapError, Gateway, connect


async def names(gateway: Gateway, workload: str, namespace: str) -> list[str]:
    """The pods that a workload selects."""
    kind, _, name = workload.rpartition("/")
    if not kind:
        return [name]
    labels = pods.selector(await gateway.get(workloads.path(namespace, kind, name)))
    found = await gateway.get(pods.selected(namespace, labels or ""))
    return [pod["metadata"]["name"] for pod in found["items"]]


async def say(gateway: Gateway, name: str, namespace: str, argv: list[str]) -> bool:
    """Runs the command in one pod; True if it ended with 0."""
    try:
        done = await gateway.pod(name, namespace=namespace).run(argv, timeout=60, text=True)
    except (DapError, TimeoutError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return False
    for line in (done.stdout + done.stderr).splitlines():
        print(f"{name}: {line}")
    return done.exit_code == 0


async def main() -> int:
    workload, _, *argv = sys.argv[1:]
    async with connect() as gateway:
        found = await names(gateway, workload, "default")
        well = await asyncio.gather(*(say(gateway, name, "default", argv) for name in found))
    return 0 if all(well) else 1


sys.exit(asyncio.run(main()))
