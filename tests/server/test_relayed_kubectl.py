"""kubectl itself in front of a gateway of two clusters, whose API servers are fakes."""

import base64
import json
import shutil
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from support.peer import once
from support.real_kubectl import Kubectl
from support.scripted import Scripted
from support.served import config_for, served
from support.upstream import said, upstream_at

from gateway.settings.config import Cluster


def cluster(name):
    """Its settings lead nowhere: the test puts an upstream in place of the chain."""
    return Cluster(
        name, "nobody@127.0.0.1:1", Path("/none"), Path("/none"), "vm", "", "plain", ssh_config="none"
    )


def api(name):
    """Answers as an API server that has one pod of that name, which runs."""
    pod = {
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "app"}]}, "status": {"phase": "Running"},
    }  # fmt: skip
    verbs = ["get", "list"]
    known = [{"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": verbs}]
    answers = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": known},
        "/api/v1/namespaces/default/pods": {
            "kind": "PodList",
            "apiVersion": "v1",
            "metadata": {},
            "items": [pod],
        },
        f"/api/v1/namespaces/default/pods/{name}": pod,
    }

    async def answer(head, reader, writer):
        path = head.split(b" ")[1].decode().partition("?")[0]
        code, body = (200, answers[path]) if path in answers else (404, {"kind": "Status", "code": 404})
        raw = json.dumps(body).encode()
        first = f"HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
        await said(first.encode() + raw)(head, reader, writer)

    return answer


def kubeconfig(body, token):
    """Returns the kubeconfig of what the gateway says of itself: a context for each cluster."""
    trust = base64.b64encode(body["ca"].encode()).decode()
    names = [one["name"] for one in body["clusters"]]
    clusters = [
        {
            "name": one["name"],
            "cluster": {"server": body["urls"][0] + one["path"], "certificate-authority-data": trust},
        }
        for one in body["clusters"]
    ]
    return {
        "apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": [{"name": "x", "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "x"}} for name in names],
        "current-context": names[0],
    }  # fmt: skip


@pytest.fixture
async def two(tmp_path):
    """Yields kubectl with a context for each of two clusters, and the upstreams of both."""
    program = shutil.which("kubectl")
    if not program:
        pytest.skip("this machine has no kubectl")
    config = replace(
        config_for(cluster("default"), cluster("other")), tls_listen="localhost:0", spdy_exec=False
    )
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(served(config, tmp_path, authority=tmp_path / "tls"))
        upstreams = []
        for name in ("default", "other"):
            backend = running.gateway.backends[name] = Scripted()
            one, backend.kube = await stack.enter_async_context(upstream_at(tmp_path / f"{name}.sock"))
            one.answer = api(f"pod-of-{name}")
            upstreams.append(one)
        proof = ("Authorization", f"Bearer {running.token}")
        answer = await once(running.url, "GET", "/gateway/v1/kubeconfig", (proof,))
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(kubeconfig(json.loads(answer.body), running.token)))
        yield Kubectl(path, tmp_path, Path(program)), *upstreams


async def test_each_context_leads_to_its_own_cluster(two):
    kubectl, first, other = two

    for context in ("default", "other"):
        code, out, err = await kubectl("--context", context, "get", "pods", "-o", "name")
        assert (code, out, err) == (0, f"pod/pod-of-{context}\n".encode(), b"")

    targets = [head.split(b" ")[1] for head in other.heads]
    assert any(target.startswith(b"/api/v1/namespaces/default/pods?") for target in targets)
    assert not any(target.startswith(b"/clusters") for target in targets)
    assert first.heads


async def test_who_is_asked_to_wait_asks_again(two):
    kubectl, upstream, _ = two
    answer, turns = upstream.answer, []

    async def busy(head, reader, writer):
        if b"/pods " in head:  # some kubectl ask for the version first
            turns.append(head)
        first = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
        await (said(first) if len(turns) == 1 and b"/pods " in head else answer)(head, reader, writer)

    upstream.answer = busy
    code, out, _ = await kubectl("get", "--raw", "/api/v1/namespaces/default/pods")

    assert (code, json.loads(out)["kind"]) == (0, "PodList")
    assert len(turns) == 2


async def test_kubectl_shows_which_setting_refused_it(two):
    kubectl, *_ = two
    env = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}

    for context in ("default", "other"):
        code, out, err = await kubectl("--context", context, "exec", f"pod-of-{context}", "--", "date", **env)

        assert (code, out) == (1, b"")
        assert err.startswith(b"Error from server (Forbidden): ")
        assert b"spdy_exec = false" in err
