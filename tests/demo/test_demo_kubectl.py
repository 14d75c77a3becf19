"""A real kubectl at the demo, by way of a gateway: what a newcomer tries in the first minute."""

import asyncio
import json
import re

import pytest
from support.real_kubectl import RACE, any_kubectl, kubectl_at
from support.served import cluster_at

PODS = """\
NAME READY STATUS RESTARTS AGE
api-7c9d8f6b5d-4xkzq 1/1 Running 0 Nd
api-7c9d8f6b5d-m2v8p 1/1 Running 0 Nd
bash-0 1/1 Running 0 Nd
distroless-0 1/1 Running 0 Nd
web-0 2/2 Running 0 Nd
"""


@pytest.fixture
async def kubectl(demo, tmp_path):
    if not (program := any_kubectl()):
        pytest.skip("no kubectl on this machine")
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with kubectl_at(cluster, tmp_path) as one:
        one.program = program
        yield one


def columns(out):
    """Returns a table with one space between its columns, whatever day it is."""
    return re.sub(r"\d+d$", "Nd", re.sub(r" +", " ", out.decode()), flags=re.MULTILINE)


async def test_what_there_is(kubectl):
    async def well(*words):
        code, out, err = await kubectl(*words)
        assert (code, RACE.sub(b"", err)) == (0, b""), words
        return out

    await well("get", "pods", "-o", "name")  # asks for the kinds once, for all of the following
    words = (
        "get pods", "get pods -A --no-headers", "get pod web-0 -o json", "get ns", "get deploy,sts,svc", "describe pod web-0",
        "get pods -l app=api -o name", "logs web-0", "logs web-0 -c side --tail=1 --timestamps", "exec bash-0 -- echo here",
    )  # fmt: skip
    outs = dict(zip(words, await asyncio.gather(*(well(*one.split()) for one in words)), strict=True))

    assert columns(outs["get pods"]) == PODS
    assert "\nteam-a web-0 1/1 Running 0 Nd\n" in columns(outs["get pods -A --no-headers"])
    assert json.loads(outs["get pod web-0 -o json"])["metadata"]["name"] == "web-0"
    assert columns(outs["get ns"]) == "NAME STATUS AGE\ndefault Active Nd\nteam-a Active Nd\n"
    assert "deployment.apps/api 2/2 2 2 Nd" in columns(outs["get deploy,sts,svc"])
    assert "statefulset.apps/web 1/1 Nd" in columns(outs["get deploy,sts,svc"])
    assert re.search(rb"Name: +web-0\nNamespace: +default\n", outs["describe pod web-0"])
    assert outs["get pods -l app=api -o name"] == b"pod/api-7c9d8f6b5d-4xkzq\npod/api-7c9d8f6b5d-m2v8p\n"
    assert outs["logs web-0"].startswith(b"this is the demo of dap: container main of pod default/web-0 ")
    assert (
        outs["logs web-0 -c side --tail=1 --timestamps"]
        == b"2026-01-01T00:00:00.000000002Z nothing more will be written here\n"
    )
    assert outs["exec bash-0 -- echo here"] == b"here\n"


async def test_what_is_not_there(kubectl):
    for words, said in (
        ("get pod nope", b'Error from server (NotFound): pods "nope" not found\n'),
        ("logs nope", b'error: error from server (NotFound): pods "nope" not found in namespace "default"\n'),
        ("logs web-0 -c none", b"error: container none is not valid for pod web-0"),
        ("get nodes", b'error: the server doesn\'t have a resource type "nodes"\n'),
        ("delete pod web-0", b"Error from server"),
    ):
        code, out, err = await kubectl(*words.split())
        assert (code, out) == (1, b""), words
        assert err.startswith(said), words


WAITING = {
    "get pods -w": PODS,
    "get pods -w --output-watch-events -o name --field-selector metadata.name=web-0": "pod/web-0\n",
    "logs -f bash-0 --tail=1": "nothing more will be written here\n",
}


async def test_a_watch_shows_the_state_and_waits_and_a_log_that_is_followed_waits(kubectl):
    for words, shown in WAITING.items():
        process = await kubectl.start(*words.split())
        await _shows_and_waits(process, shown)


async def _shows_and_waits(process, shown):
    try:
        lines = [await asyncio.wait_for(process.stdout.readline(), 10) for _ in shown.splitlines()]
        assert columns(b"".join(lines)) == shown, await process.stderr.read()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.2)
    finally:
        process.terminate()
        await process.communicate()
