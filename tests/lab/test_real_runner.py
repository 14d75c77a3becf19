"""What the demo's stand-ins play, with the real ones: Incus' projects, a workload that is not ready, a credential plugin."""

import json
import os
import time
from dataclasses import replace

import pytest
from support.exec_client import Access, Request, run
from support.lab import kubectl, namespace
from support.served import config_for, served
from support.waiting import becomes

from gateway.protocol.subprotocols import OWN
from gateway.settings.config import Limits

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]
MODES = pytest.mark.parametrize("mode", ["plain", "relay"])
SPACE = f"dap-runner-{os.getpid()}"
POD = {
    "containers": [
        {
            "name": "main",
            "image": "IMAGE",
            "command": ["sleep", "1000"],
            "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1},
        }
    ]
}


def image():
    """Any that the node has."""
    rows = json.loads(kubectl("get", "pod", "bash-0", "-n", "default", "-o", "json"))
    return rows["spec"]["containers"][0]["image"]


@pytest.fixture(scope="module")
def space():
    """A namespace with a workload of one pod, which runs and never gets ready."""
    with namespace(SPACE):
        pod = json.loads(json.dumps(POD).replace("IMAGE", image()))
        labels = {"app": "api"}
        body = {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        }  # fmt: skip
        kubectl("apply", "-n", SPACE, "-f", "-", given=json.dumps(body))
        phase = ("get", "pod", "-n", SPACE, "-o", "jsonpath={.items[*].status.phase}")
        assert becomes(lambda: kubectl(*phase) == "Running", 60)
        yield SPACE


@MODES
async def test_a_workload_that_is_not_ready_is_its_pod_that_runs(space, cluster, tmp_path, mode):
    name = kubectl("get", "deployment", "-n", space, "-o", "name").strip()
    assert name == "deployment.apps/api"
    async with served(config_for(replace(cluster, mode=mode)), tmp_path) as gateway:
        said = await run(
            Access(gateway.url, gateway.token), Request(("echo", "hi"), pod=name, namespace=space), row=OWN
        )

    assert said.stdout == b"hi\n"
    assert "deployment/api has no ready pod" in said.controls[0]["note"]


@MODES
@pytest.mark.parametrize(
    ("project", "remote", "words"),
    [
        ("default", "", ""), ("", "local:", ""), ("dap-nope", "", "Project not found"),
        ("", "dap-nope:", "doesn't exist"),
    ],
)  # fmt: skip
async def test_the_instance_is_where_its_project_and_remote_say(
    cluster, tmp_path, mode, project, remote, words
):
    settings = {"mode": mode, "incus_project": project, "vm": f"{remote}{cluster.vm}"}
    async with served(config_for(replace(cluster, **settings)), tmp_path) as gateway:
        said = await run(Access(gateway.url, gateway.token), Request(("echo", "hi"), pod="bash-0"), row=OWN)

    if words:
        assert said.controls[-1]["code"] == "incus_not_found"
        assert words in said.controls[-1]["message"]
    else:
        assert said.stdout == b"hi\n"


# An exec plugin of client-go's, which does `$2`; with the certificate of the lab's user where it succeeds
_CONTEXT = """
cd "$(mktemp -d)" && kubectl config view --raw --minify -o json >mine && python3 - <<'P' >credential
import base64, json
user = json.load(open("mine"))["users"][0]["user"]
data = {f"client{k}Data": base64.b64decode(user[f"client-{n}-data"]).decode() for k, n in
        (("Certificate", "certificate"), ("Key", "key"))}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": data}))
P
kubectl config set-credentials "$1" --exec-api-version=client.authentication.k8s.io/v1 --exec-command=sh \\
  --exec-interactive-mode=IfAvailable --exec-arg=-c --exec-arg="$2; cat $PWD/credential"
kubectl config set-context "$1" --user="$1" --cluster=lab
"""


async def context(access, name, does):
    """A context in the runner whose user has that plugin; it stays there."""

    class Ours(Request):
        def path(self):
            return f"/gateway/v1/clusters/default/run?{super().path().partition('?')[2]}"

    said = await run(access, Ours(("bash", "-lc", _CONTEXT, "sh", name, does), pod=""), row=OWN)
    assert said.controls[-1].get("exitCode") == 0, said
    return name


async def with_plugin(cluster, tmp_path, mode, name, does, request):
    config = config_for(replace(cluster, mode=mode), limits=Limits(start=4.0, sessions_per_identity=0))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with served(config, tmp_path / "a", alone=False) as gateway:
        context_ = await context(Access(gateway.url, gateway.token), name, does)
    config = replace(config, clusters={"default": replace(cluster, mode=mode, kube_context=context_)})
    async with served(config, tmp_path / "b") as gateway:
        return await run(Access(gateway.url, gateway.token), request, row=OWN)


STREAMS = pytest.mark.parametrize(
    "streams", [("stdout", "stderr"), ("stdin", "stdout", "tty")], ids=["pipes", "terminal"]
)


@MODES
@STREAMS
async def test_a_plugin_that_fails_says_what_to_do(cluster, tmp_path, mode, streams):
    request = Request(("true",), pod="bash-0", container="main", streams=streams)
    does = "echo 'Run: aws sso login' >&2; exit 255"
    said = await with_plugin(cluster, tmp_path, mode, "dap-plugin-fails", does, request)

    end = said.controls[-1]
    assert (end["code"], end["hop"]) == ("runner_credentials", "runner")
    assert end["message"].startswith("Run: aws sso login (exec: executable sh failed")


@MODES
@STREAMS
async def test_a_plugin_that_asks_ends_with_the_start(cluster, tmp_path, mode, streams):
    request = Request(("true",), pod="bash-0", container="main", streams=streams)
    began = time.monotonic()
    does = "echo 'Enter MFA code:' >&2; exec sleep 100"
    said = await with_plugin(cluster, tmp_path, mode, "dap-plugin-asks", does, request)

    assert time.monotonic() - began < 15
    assert said.controls[-1]["code"] == "runner_credentials"
    assert "Enter MFA code:" in said.controls[-1]["message"]


async def test_chatter_is_no_stderr_of_the_command(cluster, tmp_path):
    request = Request(("sh", "-c", "echo out; echo err >&2; exit 3"), pod="bash-0", container="main")
    does = "echo 'Using cached token' >&2; sleep 0.1"
    said = await with_plugin(cluster, tmp_path, "relay", "dap-plugin-talks", does, request)

    assert (said.stdout, said.stderr, said.controls[-1].get("exitCode")) == (b"out\n", b"err\n", 3), said
