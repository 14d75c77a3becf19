"""A pod that is deleted and a container that is restarted under a session, on the real chain: said by name, and soon."""

import asyncio
import json
import os
import signal
import subprocess
import time

import pytest
from support.exec_client import Request, run
from support.lab import kubectl, namespace

from gateway.protocol.subprotocols import OWN, V5

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]
SPACE = f"dap-fate-{os.getpid()}"
SOON = 5.0  # seconds


@pytest.fixture(scope="module")
def space():
    with namespace(SPACE):
        yield SPACE


@pytest.fixture
def pod(space, request):
    """A pod of its own, whose container ends when somebody makes the file /tmp/end; grace as the test is marked."""
    name = f"p{abs(hash(request.node.name)) % 10**8}"
    script = "while [ ! -e /tmp/end ]; do sleep 0.1; done; rm /tmp/end; exit 3"
    container = {
        "name": "main", "image": "docker.io/lab/busybox:1", "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", script],
    }  # fmt: skip
    spec = {"terminationGracePeriodSeconds": 2, "containers": [container]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    kubectl("apply", "-n", space, "-f", "-", given=json.dumps(body))
    kubectl("wait", "-n", space, "--for=condition=Ready", "--timeout=40s", f"pod/{name}")
    return name


async def under(ours, pod, fault, argv=("sh", "-c", "echo up; sleep 300"), row=OWN, tty=False, live=2.0):
    """(what a session heard while `fault` happened under it, seconds from there to its end)."""
    broken = 0.0

    async def script(talk):
        nonlocal broken
        await talk.seen(b"up")
        await asyncio.sleep(live)
        await asyncio.to_thread(fault)
        broken = time.monotonic()

    streams = ("stdin", "stdout", "tty") if tty else ("stdin", "stdout", "stderr")
    request = Request(argv, pod=pod, namespace=SPACE, streams=streams)
    said = await run(ours, request, script, row=row, seconds=30)
    return said, time.monotonic() - broken


def delete(pod, *more):
    return lambda: kubectl("delete", "pod", pod, "-n", SPACE, "--wait=false", *more)


def end_container(pod):
    return lambda: kubectl("exec", "-n", SPACE, pod, "--", "touch", "/tmp/end")


@pytest.mark.parametrize("tty", [True, False], ids=["tty", "pipes"])
async def test_a_pod_that_is_deleted_at_once(ours, pod, tty):
    said, seconds = await under(ours, pod, delete(pod, "--force", "--grace-period=0"), tty=tty)

    end = said.controls[-1]
    assert (end["code"], end["exitCode"]) == ("pod_deleted", None)
    assert f"{SPACE}/{pod}" in end["message"]
    assert seconds < SOON


async def test_a_pod_that_is_deleted_in_time(ours, pod):
    said, seconds = await under(ours, pod, delete(pod))

    assert said.controls[-1]["code"] == "pod_deleted"
    assert seconds < 2 + SOON


@pytest.mark.parametrize("tty", [True, False], ids=["tty", "pipes"])
async def test_a_container_that_is_restarted(ours, pod, tty):
    said, seconds = await under(ours, pod, end_container(pod), tty=tty)

    end = said.controls[-1]
    assert (end["code"], end["exitCode"]) == ("container_restarted", None)
    assert "exit code 3" in end["message"]
    assert seconds < SOON


async def test_a_kill_of_ones_own_keeps_its_code(ours, pod):
    said = await run(ours, Request(("sh", "-c", "kill -9 $$"), pod=pod, namespace=SPACE), row=OWN)

    assert (said.controls[-1]["code"], said.controls[-1]["exitCode"]) == ("exited", 137)


async def test_a_terminal_that_ends_with_0_by_itself_keeps_its_code(ours, pod):
    request = Request(("sleep", "2"), pod=pod, namespace=SPACE, streams=("stdin", "stdout", "tty"))
    began = time.monotonic()
    said = await run(ours, request, row=OWN)

    assert (said.controls[-1]["code"], said.controls[-1]["exitCode"]) == ("exited", 0)
    assert time.monotonic() - began < 2 + SOON


async def test_kubernetes_clients_get_the_137(ours, pod):
    said, _ = await under(ours, pod, delete(pod, "--force", "--grace-period=0"), row=V5)

    assert said.status.exit_code == 137
    assert said.close_code == 1000


async def test_a_deletion_that_the_kubelet_does_not_hear_of(ours, pod, cluster):
    """Kubectl goes on; the session ends by name."""
    if cluster.mode == "plain":
        return  # without a relay there is no watch: it ends with its kubectl
    (kubelet,) = pids_of("kubelet")

    def fault():
        os.kill(kubelet, signal.SIGSTOP)
        delete(pod, "--force", "--grace-period=0")()

    try:
        said, seconds = await under(ours, pod, fault)
    finally:
        os.kill(kubelet, signal.SIGCONT)

    assert said.controls[-1]["code"] == "pod_deleted"
    assert seconds < SOON


def pids_of(name):
    found = subprocess.run(["pgrep", "-x", name], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid in found.split()]
