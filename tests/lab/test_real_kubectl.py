"""kubectl itself, unmodified, against the gateway: exec, attach and cp, by way of TLS as behind a proxy."""

import asyncio
import json
import os
import subprocess
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from support.served import TOKEN, config_for, served
from support.tls_front import listener, tls_front

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture
async def kubectl(cluster, tmp_path):
    """Call and await it with arguments and input: (exit code, stdout, stderr)."""
    program = Path(os.environ["DAP_LAB_KUBECONFIG"]).parents[1] / "bin" / "kubectl"
    sock, host = listener()
    config = replace(config_for(cluster), allowed_hosts=(host,))
    async with served(config, tmp_path) as gateway, tls_front(sock, gateway.url) as certificate:
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(kubeconfig(f"https://{host}", certificate)))

        async def run(*words, given=b""):
            process = await asyncio.create_subprocess_exec(
                program, "--kubeconfig", path, "--cache-dir", tmp_path / "cache", *words,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            out, err = await asyncio.wait_for(process.communicate(given), 60)
            return process.returncode, out, err

        yield run


def kubeconfig(server, certificate):
    trust = b64encode(certificate.encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": server, "certificate-authority-data": trust}}],
        "users": [{"name": "x", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }


async def test_exec(kubectl):
    assert await kubectl("exec", "bash-0", "--", "sh", "-c", "echo out; echo err >&2") == (
        0,
        b"out\n",
        b"err\n",
    )
    code, out, err = await kubectl("exec", "bash-0", "--", "sh", "-c", "exit 3")
    assert (code, out, err) == (3, b"", b"command terminated with exit code 3\n")


async def test_exec_with_input(kubectl):
    data = os.urandom(300_000)

    assert await kubectl("exec", "-i", "bash-0", "--", "cat", given=data) == (0, data, b"")


async def test_the_default_container_is_kubectls_own_choice(kubectl):
    """It reads the annotation from the pod and names the container."""
    assert (await kubectl("exec", "web-0", "--", "cat", "/tmp/www/index.html"))[:2] == (
        0,
        b"hello-from-pod\n",
    )


async def test_a_workload(kubectl):
    code, out, err = await kubectl("exec", "deploy/api", "--", "hostname")

    assert (code, err) == (0, b"")
    assert out.startswith(b"api-")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("exec", "nope", "--", "true"), b'Error from server (NotFound): pods "nope" not found\n'),
        (
            ("exec", "bash-0", "-c", "nope", "--", "true"),
            b"error: container nope is not valid for pod bash-0 out of: main\n",
        ),
        (
            ("exec", "deploy/nope", "--", "true"),
            b'Error from server (NotFound): deployments.apps "nope" not found\n',
        ),
        (("get", "secrets"), b""),
    ],
    ids=["pod", "container", "workload", "no other kind"],
)
async def test_refusals_are_a_clusters(kubectl, words, said):
    code, out, err = await kubectl(*words)

    assert (code, out) == (1, b"")
    assert err.endswith(said)


async def test_cp(kubectl, tmp_path):
    data = os.urandom(100_000)
    (tmp_path / "a").write_bytes(data)
    there = f"/tmp/dap-{os.getpid()}"

    assert (await kubectl("cp", str(tmp_path / "a"), f"bash-0:{there}"))[0] == 0
    assert (await kubectl("cp", f"bash-0:{there}", str(tmp_path / "b")))[0] == 0
    await kubectl("exec", "bash-0", "--", "rm", there)

    assert (tmp_path / "b").read_bytes() == data


async def test_a_wrong_token_is_refused(kubectl):
    code, out, err = await kubectl("--token=wrong", "exec", "bash-0", "--", "true")

    assert (code, out) == (1, b"")
    assert b"You must be logged in" in err or b"provide credentials" in err
