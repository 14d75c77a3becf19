"""Pods in every state: the gateway says what the API server says, before the upgrade where that does."""

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.exec_client import Access, Request, run
from support.lab import kubeconfig_access, kubectl, namespace
from support.served import config_for, served
from support.waiting import becomes
from test_differential import comparable

from gateway.backends.factory import make
from gateway.backends.relay.credentials import throw_away
from gateway.protocol.subprotocols import OWN, V4, V5
from gateway.protocol.target import Command, Target
from gateway.server import lookup
from gateway.settings.config import Limits

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]
RUNNER = Target("default")
SPACE = f"dap-refusals-{os.getpid()}"
TRUE = ("true",)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Every command here ends, so that its upgrade can wait for it: how patient a gateway is is not what is tried."""
    monkeypatch.setattr(lookup, "VERIFY", 60.0)


@pytest.fixture(scope="module")
def space():
    """A namespace with pods in every state."""
    with namespace(SPACE):
        kubectl("apply", "-n", SPACE, "-f", str(Path(__file__).with_name("pods.yaml")))
        kubectl("wait", "-n", SPACE, "--for=condition=Ready", "--timeout=50s", "pod/inits", "pod/single")
        phase = ("get", "pod", "done", "-n", SPACE, "-o", "jsonpath={.status.phase}")
        assert becomes(lambda: kubectl(*phase) == "Succeeded", 30)
        yield SPACE


async def both(api, ours, request, row):
    async with asyncio.TaskGroup() as tasks:
        theirs, answer = (tasks.create_task(run(access, request, row=row)) for access in (api, ours))
    return comparable(theirs.result()), comparable(answer.result())


REFUSED = [
    Request(TRUE, pod="done", container="nope"),
    Request(TRUE, pod="pending"),
    Request(TRUE, pod="pending", container="main"),
    Request(TRUE, pod="pending", container="nope"),
    Request(TRUE, pod="inits"),
    Request(TRUE, pod="inits", container="nope"),
    Request((), pod="inits", verb="attach"),
    Request(TRUE, pod="nope", container="x"),
]
ENDED = [
    Request(TRUE, pod="single"),
    Request(TRUE, pod="done"),
    Request(TRUE, pod="done", container="main"),
    Request((), pod="done", verb="attach"),
    Request(TRUE, pod="inits", container="prep"),
    Request(TRUE, pod="absent"),
]


def named(request: Request) -> str:
    return f"{request.verb} {request.pod} {request.container}".strip()


@pytest.mark.parametrize("row", [V5, V4], ids=["v5", "v4"])
@pytest.mark.parametrize("request_", REFUSED, ids=named)
async def test_refused_before_the_upgrade_alike(space, api, ours, request_, row):
    said, told = await both(api, ours, replace(request_, namespace=space), row)

    assert said.refusal
    assert told == said


@pytest.mark.parametrize("request_", ENDED, ids=named)
async def test_ended_alike(space, api, ours, request_):
    """Not running is the kubelet's to say, after the upgrade."""
    said, told = await both(api, ours, replace(request_, namespace=space), V5)

    assert said.statuses
    assert told == said


@pytest.mark.parametrize("request_", ENDED[1:], ids=named)
async def test_what_an_old_kubelet_refuses(space, api, ours, request_):
    """`kubelet-refusal`: on v4 in plain text, before the upgrade; ours is what v5 says."""
    said, told = await both(api, ours, replace(request_, namespace=space), V4)
    newer, _ = await both(api, ours, replace(request_, namespace=space), V5)

    assert (said.refusal.code, said.refusal.content_type) == (500, "text/plain; charset=utf-8")
    assert told.statuses == newer.statuses


async def test_a_service_is_its_ready_pod(space, ours):
    said = await run(ours, Request(("hostname",), pod="svc/mixed", namespace=space), row=OWN)
    none = await run(ours, Request(TRUE, pod="svc/nothing", namespace=space), row=OWN)

    assert said.stdout == b"single\n"
    assert said.controls[0]["target"]["pod"] == "single"
    assert said.controls[0]["target"]["container"] == "one"
    assert none.controls[0]["code"] == "no_ready_pod"


@pytest.mark.parametrize("pod", ["single", "inits", "nope"])
async def test_who_may_look_but_not_exec(space, cluster, tmp_path, pod):
    """A pod that is not there kubectl misses first; over the API the refusal is the API server's."""
    viewer = Path(os.environ["DAP_LAB_KUBECONFIG"]).with_name("viewer.conf")
    context = await context_in_the_runner(viewer.read_text(), cluster)
    request = Request(TRUE, pod=pod, container="one", namespace=space)
    api = kubeconfig_access(str(viewer))
    async with served(config_for(replace(cluster, kube_context=context)), tmp_path) as gateway:
        said, told = await both(api, Access(gateway.url, gateway.token), request, V5)

    assert said.refusal.code == 403
    if pod == "nope" and (cluster.mode == "plain" or cluster.exec == "kubectl"):
        assert told.refusal.code == 404
    else:
        assert told == said


_ADD = """
kubectl config get-contexts "$1" >/dev/null 2>&1 && exit
kubectl config set "users.$1.client-certificate-data" "$2" && kubectl config set "users.$1.client-key-data" "$3" &&
kubectl config set-context "$1" --user="$1" --cluster=lab"""


async def context_in_the_runner(kubeconfig: str, cluster) -> str:
    """The name of a context in the runner, of the same user; it stays there."""
    data = [
        re.search(rf'client-{key}: "?([^\s",}}]+)', kubeconfig)[1] for key in ("certificate-data", "key-data")
    ]
    command = Command(("sh", "-c", _ADD, "sh", "dap-viewer", *data), "run", stdout=True, stderr=True)
    async with (
        make(cluster, Limits(), None, throw_away()) as backend,
        backend.exec(RUNNER, command) as channel,
    ):
        said = b"".join([data async for _, data in channel.output()])
        assert (await channel.wait()).exit_code == 0, said
    return "dap-viewer"
