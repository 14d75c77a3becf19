"""kubectl on the real chain, with what `dap kubeconfig` writes and `dap token` for its credential."""

import asyncio
import os
import shlex
from asyncio.subprocess import DEVNULL, PIPE

import pytest
from support.real_kubectl import programs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture
async def gateway_env(home):
    """What a shell has after `eval "$(dap kubeconfig)"`, while `dap serve` runs on the real chain, with a relay."""
    if not os.environ.get("DAP_LAB"):
        pytest.skip("no real chain: DAP_LAB is not set")
    runner = {name: value for name, value in os.environ.items() if name.startswith("DAP_RUNNER_")}
    env = runner | {"DAP_GATEWAY_TLS_LISTEN": "localhost:0", "DAP_RUNNER_SSH_CONFIG": "none"}
    env |= {"DAP_RUNNER_MODE": "relay"}
    process = await home.start(
        "serve", "--listen", "127.0.0.1:0", "--log", "json", env=env, stdin=DEVNULL, stderr=DEVNULL
    )
    try:
        assert await process.stdout.readline()
        done = await home.dap("kubeconfig")
        assert done.code == 0, done.err
        yield home.env | dict([shlex.split(done.out.decode())[1].split("=", 1)])
    finally:
        process.terminate()
        await process.communicate()


async def test_kubectl_reads_and_runs_a_command(gateway_env):
    async def kubectl(*words):
        process = await asyncio.create_subprocess_exec(
            programs()["own"], *words, env=gateway_env, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, out, err

    code, out, err = await kubectl("get", "pods", "-o", "name")
    assert (code, err) == (0, b"")
    assert b"pod/bash-0" in out.splitlines()
    assert await kubectl("exec", "bash-0", "--", "echo", "here") == (0, b"here\n", b"")
    done = await asyncio.gather(*(kubectl("get", "pod", "bash-0", "-o", "name") for _ in range(5)))
    assert done == [(0, b"pod/bash-0\n", b"")] * 5


@pytest.mark.usefixtures("gateway_env")
async def test_curl_asks_a_pod_through_the_api_and_addresses_from_the_runner(home):
    """web-0 serves HTTP on 8099."""
    done = await home.dap("curl", "-f", "pod/web-0:8099/")
    assert (done.code, done.out) == (0, b"hello-from-pod\n"), done.err
    done = await home.dap("curl", "-f", "pod/web-0:8099/none")
    assert (done.code, done.out) == (22, b""), done.err
    done = await home.dap("curl", "http://host.invalid/")
    assert (done.code, done.out) == (6, b""), done.err
    listed = await home.dap("pods", "--json")
    assert '"web-0"' in listed.out.decode(), listed.err
