"""kubectl itself, unmodified, against the gateway: exec, attach and cp, by way of TLS as behind a proxy."""

import json
import os

import pytest
from support import lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


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
    ],
    ids=["pod", "container", "workload"],
)
async def test_refusals_are_a_clusters(kubectl, words, said):
    code, out, err = await kubectl(*words)

    assert (code, out) == (1, b"")
    assert err.endswith(said)


async def test_no_other_kind_without_a_relay(kubectl, cluster):
    if cluster.mode != "plain":
        pytest.skip("a relay passes the whole API on: tests/lab/test_real_api.py")
    code, out, err = await kubectl("get", "secrets")

    assert (code, out) == (1, b"")
    assert b"python3" in err


@pytest.fixture
def answering():
    """A namespace with a pod `p` whose own command answers what it reads, until its input ends."""
    space = f"dap-attach-{os.getpid()}"
    container = {
        "name": "main", "image": "docker.io/lab/busybox:1", "imagePullPolicy": "Never", "stdin": True, "stdinOnce": True,
        "command": ["/bin/sh", "-c", "while read line; do echo got $line; done; sleep 1"],
    }  # fmt: skip
    spec = {"restartPolicy": "Never", "containers": [container]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    with lab.namespace(space):
        lab.kubectl("apply", "-n", space, "-f", "-", given=json.dumps(body))
        lab.kubectl("wait", "-n", space, "--for=condition=Ready", "--timeout=40s", "pod/p")
        yield space


async def test_attach(kubectl, answering):
    code, out, err = await kubectl("attach", "-n", answering, "p", "-i", given=b"one\ntwo\n")

    assert (code, out) == (0, b"got one\ngot two\n"), err


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
