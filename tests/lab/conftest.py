import json
import os
import secrets
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.exec_client import Access
from support.lab import LAB, LEFT, kubeconfig_access, namespace
from support.lab import kubectl as lab_kubectl
from support.real_kubectl import Kubectl, kubectl_at, programs
from support.served import cluster_at


@pytest.fixture
async def cluster():
    """The real chain alone, as DAP_RUNNER_MODE and DAP_RUNNER_EXEC want it."""
    if not os.environ.get("DAP_LAB"):
        pytest.skip("no real chain: DAP_LAB is not set")
    names = ("DAP_RUNNER_SSH_HOST", "DAP_RUNNER_SSH_KEY", "DAP_RUNNER_SSH_KNOWN_HOSTS", "DAP_RUNNER_VM")
    host, key, known_hosts, instance = (os.environ[name] for name in names)
    mode = os.environ.get("DAP_RUNNER_MODE", "plain")
    made = cluster_at(host, Path(key), Path(known_hosts), instance, mode=mode)
    return replace(made, exec=os.environ.get("DAP_RUNNER_EXEC", made.exec))


@pytest.fixture
async def kubectl(cluster, tmp_path):
    """Call and await it with arguments and input: (exit code, stdout, stderr)."""
    async with kubectl_at(cluster, tmp_path) as one:
        yield one


@pytest.fixture
async def both(cluster, tmp_path):
    """Yields kubectl at a gateway with a relay, and kubectl straight at the API server."""
    async with kubectl_at(replace(cluster, mode="relay"), tmp_path) as one:
        yield one, Kubectl(Path(os.environ["DAP_LAB_KUBECONFIG"]), tmp_path / "straight", programs()["own"])


@pytest.fixture
def lab():
    """The lab's own command, as in `lab fault ssh-drop`."""
    if not Path(LAB).exists():
        pytest.skip("no lab command to break hops with: set DAP_LAB_COMMAND")

    def run(*words: str) -> str:
        done = subprocess.run([LAB, *words], capture_output=True, text=True, timeout=180, check=True)
        return done.stdout

    return run


@pytest.fixture
def space():
    """A namespace with the deployment `d`, whose pod writes a line to its log and serves HTTP on port 8080."""
    name = f"dap-api-{secrets.token_hex(4)}"
    container = {
        "name": "main", "image": "docker.io/lab/busybox:1", "imagePullPolicy": "Never",
        "command": ["sh", "-c", "mkdir -p /tmp/w; echo served >/tmp/w/f; echo begun; exec httpd -f -p 8080 -h /tmp/w"],
    }  # fmt: skip
    labels = {"app": "d"}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    with namespace(name):
        lab_kubectl("apply", "-n", name, "-f", "-", given=json.dumps(body))
        lab_kubectl("rollout", "status", "-n", name, "deploy/d", "--timeout=60s")
        yield name


@pytest.fixture
def api() -> Access:
    """The lab's API server."""
    if "DAP_LAB_KUBECONFIG" not in os.environ:
        pytest.skip("no real chain: DAP_LAB is not set")
    return kubeconfig_access(os.environ["DAP_LAB_KUBECONFIG"])


@pytest.fixture
def ours(gateway) -> Access:
    """The gateway on the way to it."""
    return Access(gateway.url, gateway.token)


def pytest_terminal_summary(terminalreporter, config):
    if LEFT in config.stash:
        terminalreporter.write_line(f"left behind by broken hops: {config.stash[LEFT]} processes")
