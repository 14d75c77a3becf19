"""The API as it is passed on, on the real chain: kubectl's verbs at the gateway and straight at the API server."""

import asyncio
import json
import os
import signal
import subprocess
import urllib.request
from dataclasses import replace

import pytest
from support import lab as chain
from support.real_kubectl import RACE, kubectl_at, programs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


@pytest.fixture
async def kubectl(cluster, tmp_path):
    """In front of a gateway with a relay: the plain chain passes no API on."""
    async with kubectl_at(replace(cluster, mode="relay"), tmp_path) as one:
        yield one


@pytest.mark.alone
@pytest.mark.parametrize(
    "words",
    [
        ("get", "pods", "-A", "-o", "name"),
        ("get", "pods", "-A", "--chunk-size=2"),
        ("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"),
        ("get", "deploy,svc,sts", "-o", "wide"),
        ("api-resources", "-o", "name"),
        ("describe", "namespace", "default"),
        ("get", "--raw", "/openapi/v2?timeout=32s"),
        ("get", "pod", "nope"),
        ("get", "nothing"),
        ("auth", "can-i", "--list"),
        ("logs", "bash-0"),
        ("logs", "nope"),
    ],
)
async def test_a_read_is_what_the_api_server_says(kubectl, words):
    straight = await asyncio.to_thread(_straight, words)

    code, out, err = await kubectl(*words)

    assert (code, _settled(out), err) == (straight[0], _settled(straight[1]), straight[2])


def _settled(text):
    """Without what changes by itself: ages and times."""
    lines = text.decode().splitlines()
    return [line.split()[:3] for line in lines if "Time" not in line]


def _straight(words):
    done = subprocess.run([chain.LAB, "kubectl", *words], capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.alone
async def test_changes(kubectl, space):
    where = ("-n", space)

    async def well(*words, given=b""):
        code, out, err = await kubectl(*words, *where, given=given)
        assert code == 0, err
        return out.decode()

    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    assert "created" in await well("apply", "-f", "-", given=json.dumps(config).encode())
    config["data"]["a"] = "2"
    assert "configured" in await well("apply", "-f", "-", given=json.dumps(config).encode())
    assert "serverside" in await well(
        "apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(config).encode()
    )
    for kind, patch in (
        ("strategic", '{"data":{"b":"1"}}'),
        ("merge", '{"data":{"c":"1"}}'),
        ("json", '[{"op":"add","path":"/data/d","value":"1"}]'),
    ):
        await well("patch", "configmap", "c", "--type", kind, "-p", patch)
    assert json.loads(await well("get", "configmap", "c", "-o", "jsonpath={.data}")) == {
        "a": "2", "b": "1", "c": "1", "d": "1",
    }  # fmt: skip
    await well("label", "configmap", "c", "x=y")
    await well("scale", "deploy/d", "--replicas=2")
    assert "successfully rolled out" in await well("rollout", "status", "deploy/d", "--timeout=60s")
    await well("delete", "configmap", "c")
    code, _, err = await kubectl("get", "configmap", "c", *where)
    assert (code, err) == (1, b'Error from server (NotFound): configmaps "c" not found\n')


@pytest.mark.alone
async def test_a_watch_tells_at_once(kubectl, space):
    process = await kubectl.start("get", "configmaps", "-n", space, "-w", "-o", "name")
    try:
        await asyncio.sleep(1)
        chain.kubectl("create", "configmap", "seen", "-n", space)
        async with asyncio.timeout(10):
            while (line := await process.stdout.readline()) != b"configmap/seen\n":
                assert line, await process.stderr.read()
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.alone
async def test_logs_that_are_followed(kubectl, space):
    code, out, err = await kubectl("logs", "deploy/d", "-n", space)
    assert (code, out) == (0, b"begun\n"), err

    process = await kubectl.start("logs", "-f", "deploy/d", "-n", space)
    assert await asyncio.wait_for(process.stdout.readline(), 10) == b"begun\n"
    chain.kubectl("scale", "deploy/d", "-n", space, "--replicas=0")
    assert await asyncio.wait_for(process.wait(), 60) == 0


@pytest.mark.parametrize("name", [*programs()])
async def test_every_kubectl(kubectl, name):
    """Those up to 1.29, and a later one that is told so, speak SPDY: RFC rows 4 to 6."""
    kubectl.program = programs()[name]
    data = os.urandom(1 << 20)

    async def ran(*words, **more):
        code, out, err = await kubectl("exec", *words, **more)
        return code, out, RACE.sub(b"", err)

    for env in ({}, {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}):
        for given in (b"echo\n", data):
            assert await ran("-i", "bash-0", "--", "cat", given=given, **env) == (0, given, b"")
        code, out, err = await ran("bash-0", "--", "sh", "-c", "echo out; echo err >&2; exit 3", **env)
        assert (code, out, err) == (3, b"out\n", b"err\ncommand terminated with exit code 3\n")
    code, out, err = await kubectl("get", "pod", "bash-0", "-o", "name")
    assert (code, out) == (0, b"pod/bash-0\n"), err


@pytest.mark.alone
async def test_every_kubectl_forwards_ports(kubectl, space):
    for name, program in programs().items():
        kubectl.program = program
        process = await kubectl.start("port-forward", "-n", space, "deploy/d", ":8080")
        try:
            line = await asyncio.wait_for(process.stdout.readline(), 20)
            assert line.startswith(b"Forwarding from 127.0.0.1:"), (name, line, await process.stderr.read())
            port = int(line.split()[2].rpartition(b":")[2])
            got = await asyncio.gather(*(asyncio.to_thread(_fetch, port) for _ in range(20)))
            assert got == [b"served\n"] * 20, name
        finally:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), 10)


def _fetch(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/f", timeout=20) as answer:
        return answer.read()


@pytest.mark.alone
async def test_upstream_that_is_down_names_the_hop(kubectl, lab):
    """Once kubectl knows which kinds there are: of a refusal of those it prints the HTTP code's words alone."""
    assert (await kubectl("get", "pods"))[0] == 0
    lab("fault", "api-down")
    try:
        code, out, err = await kubectl("get", "pods")
        assert (code, out) == (1, b"")
        assert b"cluster:" in err
        assert b"(cluster_unreachable)" in err
    finally:
        lab("fault", "api-up")
