"""The way into a pod where the API server, or what leads to it, is not what it should be: what is left to kubectl."""

import shlex
import subprocess
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from support.exec_client import Access, Request, run
from support.served import config_for, served

from gateway.protocol.subprotocols import OWN

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]
TERMINAL, PIPES, OUT = ("stdin", "stdout", "tty"), ("stdin", "stdout", "stderr"), ("stdout", "stderr")
# The API server itself, in front of which nothing speaks v5
OLDER = """
kubectl config view --raw --minify -o json | python3 -c '
import json, sys
told = json.load(sys.stdin)
told["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:16444"
json.dump(told, open("/root/dap-older", "w"))
'
"""


def in_runner(cluster, script):
    """Runs a script in the runner, beside the gateway."""
    host = subprocess.run(
        ["ssh", "-F", str(cluster.ssh_key.parent / "config"), "mgmt",
         shlex.join(["incus", "exec", cluster.vm, "-T", "--", "bash", "-lc", script])],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return host.stdout


async def way(gateway, streams, argv=("true",)):
    """Which way it was, with how the command ended."""

    async def script(talk):
        if "stdin" in streams:
            await (talk.half_close() if streams is PIPES else talk.stdin(b""))

    request = Request(argv, pod="bash-0", container="main", streams=streams)
    said = await run(Access(gateway.url, gateway.token), request, script, row=OWN)
    started = [one for one in said.controls if one["type"] == "started"]
    return started[0]["way"] if started else None, said.controls[-1]["code"]


async def test_without_v5_kubectl_has_what_ends_its_input_and_the_api_the_rest(cluster, tmp_path):
    in_runner(cluster, OLDER)
    older = replace(
        cluster, mode="relay", exec="auto", kubectl=("env", "KUBECONFIG=/root/dap-older", "kubectl")
    )
    with capture_logs() as logs:
        async with served(config_for(older), tmp_path) as gateway:
            ways = [await way(gateway, streams) for streams in (TERMINAL, OUT, PIPES, PIPES, OUT)]

    assert ways == [(one, "exited") for one in ("api", "api", "kubectl", "kubectl", "api")]
    (line,) = [one for one in logs if one["event"] == "api_exec_impossible"]
    assert "v5.channel.k8s.io" in line["reason"]
