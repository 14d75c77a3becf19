"""The real chain's own cluster, and the command that breaks its hops."""

import base64
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.exec_client import Access

from gateway.client.tls import trusting

LAB = os.environ.get("DAP_LAB_COMMAND") or str(Path(__file__).parents[3] / "shared" / "lab" / "lab")
LEFT: pytest.StashKey[int] = pytest.StashKey()  # processes that broken hops left behind


def kubectl(*words: str, given: str = "") -> str:
    """What it writes; `given` is its input. It has to end with 0."""
    done = subprocess.run(
        [LAB, "kubectl", *words], input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def processes(what: str) -> str:
    """`ps` lists what lives on the chain, `reap` ends it. Either fails when a container ends while it looks: then it is
    asked again.
    """
    for left in (2, 1, 0):
        done = subprocess.run([LAB, what], capture_output=True, text=True, timeout=60, check=False)
        if not done.returncode:
            break
        assert left, f"lab {what}: {done.stderr}"
        time.sleep(1)
    return done.stdout


@contextmanager
def namespace(name: str) -> Iterator[None]:
    """It is there until the block is left. Skips where there is no real chain."""
    if not os.environ.get("DAP_LAB"):
        pytest.skip("no real chain: DAP_LAB is not set")
    if not Path(LAB).exists():
        pytest.skip("no lab command to break hops with: set DAP_LAB_COMMAND")
    kubectl("create", "namespace", name)
    try:
        yield
    finally:
        with suppress(AssertionError):
            kubectl("delete", "namespace", name, "--wait=false")


def kubeconfig_access(path: str) -> Access:
    """An API server and a client certificate, as the lab's kubeconfig has them (inline, base64)."""
    text = Path(path).read_text()

    def value(key: str) -> str:
        match = re.search(rf'\b{key}: "?([^\s",}}]+)', text)
        if match is None:
            raise ValueError(f"{path} has no {key}")
        return match[1]

    def pem(key: str) -> bytes:
        return base64.b64decode(value(key))

    tls = trusting(cadata=pem("certificate-authority-data").decode())
    with tempfile.NamedTemporaryFile() as pair:  # the ssl module reads files only
        pair.write(pem("client-certificate-data") + pem("client-key-data"))
        pair.flush()
        tls.load_cert_chain(pair.name)
    return Access(value("server"), tls=tls)
