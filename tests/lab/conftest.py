import os
import subprocess
from pathlib import Path

import pytest
from support.exec_client import Access
from support.lab import LAB, LEFT, kubeconfig_access
from support.real_kubectl import kubectl_at
from support.served import cluster_at


@pytest.fixture
async def cluster():
    """The real chain alone, as DAP_RUNNER_MODE wants it."""
    if not os.environ.get("DAP_LAB"):
        pytest.skip("no real chain: DAP_LAB is not set")
    names = ("DAP_RUNNER_SSH_HOST", "DAP_RUNNER_SSH_KEY", "DAP_RUNNER_SSH_KNOWN_HOSTS", "DAP_RUNNER_VM")
    host, key, known_hosts, instance = (os.environ[name] for name in names)
    mode = os.environ.get("DAP_RUNNER_MODE", "plain")
    return cluster_at(host, Path(key), Path(known_hosts), instance, mode=mode)


@pytest.fixture
async def kubectl(cluster, tmp_path):
    """Call and await it with arguments and input: (exit code, stdout, stderr)."""
    async with kubectl_at(cluster, tmp_path) as one:
        yield one


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
