"""Where a pod is that is named without a namespace: asked of kubectl in the runner, on every chain."""

import secrets
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from support.exec_client import Access, Request, run
from support.served import config_for, served

from gateway.protocol.subprotocols import OWN

pytestmark = pytest.mark.alone
HOME = "/gateway/v1/clusters/default"


class Ours(Request):
    """A pod without its namespace, or, without a pod, a command in the runner."""

    def path(self):
        query = super().path().partition("?")[2]
        return f"{HOME}/pods/{self.pod}/exec?{query}" if self.pod else f"{HOME}/run?{query}"


async def in_runner(access, line):
    said = await run(access, Ours(("sh", "-c", line), pod=""), row=OWN)
    assert said.controls[-1].get("exitCode") == 0, said
    return said.stdout.decode().strip()


@asynccontextmanager
async def context_in(access, namespace):
    """The current context in the runner names that namespace, as somebody there would have it."""
    now = "kubectl config view --minify -o jsonpath='{..namespace}'"
    before = await in_runner(access, now)
    await in_runner(access, f"kubectl config set-context --current --namespace={namespace}")
    try:
        yield
    finally:
        await in_runner(access, f"kubectl config set-context --current --namespace={before}")


async def test_it_is_that_of_kubectls_context_and_changes_with_it(gateway):
    access, mark = Access(gateway.url, gateway.token), secrets.token_hex(8)
    for namespace in ("team-a", "default"):
        write = ("sh", "-c", f"echo {mark} {namespace} >dap-mark")
        await run(access, Request(write, pod="web-0", namespace=namespace), row=OWN)

    read = Ours(("cat", "dap-mark"), pod="web-0")
    assert (await run(access, read, row=OWN)).stdout.decode() == f"{mark} default\n"
    async with context_in(access, "team-a"):
        said = await run(access, read, row=OWN)
        missing = await run(access, replace(read, pod="bash-0"), row=OWN)
        named = await run(access, Request(read.argv, pod="web-0"), row=OWN)
    assert said.stdout.decode() == f"{mark} team-a\n"
    assert said.controls[0]["target"]["namespace"] == "team-a"
    assert named.stdout.decode() == f"{mark} default\n"
    end = missing.controls[-1]
    assert end["code"] == "pod_not_found"
    assert "team-a" in end["message"]


@pytest.mark.parametrize(
    "settings", [{"namespace": "team-a"}, {"namespace": "team-a", "kube_context": "nope"}]
)
async def test_the_setting_wins_and_nobody_is_asked(cluster, tmp_path, settings):
    async with served(config_for(replace(cluster, **settings)), tmp_path) as gateway:
        access = Access(gateway.url, gateway.token)
        assert await gateway.gateway.namespaces.get("default") == "team-a"
        if "kube_context" not in settings:
            said = await run(access, Ours(("true",), pod="web-0"), row=OWN)
            assert said.controls[0]["target"]["namespace"] == "team-a"


async def test_a_context_that_does_not_exist_is_kubectls_error(cluster, tmp_path):
    async with served(config_for(replace(cluster, kube_context="nope")), tmp_path) as gateway:
        said = await run(Access(gateway.url, gateway.token), Ours(("true",), pod="web-0"), row=OWN)

    (refused,) = said.controls
    assert (refused["type"], refused["hop"], refused["code"]) == ("refused", "kubectl", "kubectl_failed")
    assert "nope" in refused["message"]


async def test_a_context_that_names_none_and_a_runner_without_one_mean_default(gateway):
    access = Access(gateway.url, gateway.token)
    async with context_in(access, ""):
        assert await gateway.gateway.namespaces.get("default") == "default"
