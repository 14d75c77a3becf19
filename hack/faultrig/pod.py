"""A pod of the rig's own, whose container ends when it is asked to, and is started again by the cluster."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faultrig.clients import Access
from faultrig.dap import run_dap
from faultrig.lab import LabError

_RUN = ("run", "-i", "-q", "--", "kubectl")
# who asks for its end is to hear so first, and not to be killed with it
_SCRIPT = "while [ ! -e /tmp/end ]; do sleep 0.1; done; sleep 0.5; rm /tmp/end; exit 3"


@asynccontextmanager
async def own_pod(access: Access) -> AsyncIterator[str]:
    """Its name, once it is ready; the runner's kubectl makes and deletes it. Its image is that of web-0. LabError."""
    name = f"rig-{secrets.token_hex(4)}"
    found = json.loads(await _kubectl(access, "get", "pod", "web-0", "-o", "json"))
    image = next(one for one in found["spec"]["containers"] if one["name"] == "main")
    kept = {key: image[key] for key in ("image", "imagePullPolicy")}
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "command": ["sh", "-c", _SCRIPT], **kept}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    try:
        await _kubectl(access, "apply", "-f", "-", given=json.dumps(pod).encode())
        await _kubectl(access, "wait", "--for=condition=Ready", "--timeout=40s", f"pod/{name}")
        yield name
    finally:
        await _kubectl(access, "delete", "pod", name, "--force", "--ignore-not-found")


async def end_container(access: Access, name: str) -> None:
    """LabError."""
    status, _, said = await run_dap(access, "exec", "-q", name, "-c", "main", "--", "touch", "/tmp/end")
    if status:
        raise LabError(f"dap exec {name}: {said[-200:]}")


async def _kubectl(access: Access, *words: str, given: bytes = b"") -> bytes:
    status, out, said = await run_dap(access, *_RUN, *words, given=given)
    if status:
        raise LabError(f"dap run -- kubectl {' '.join(words[:2])}: {said[-200:]}")
    return out
