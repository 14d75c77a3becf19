"""The runner's current context is changed under a running gateway: reads and commands lead to one cluster, the new one."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress

import pytest
from structlog.testing import capture_logs
from support.exec_client import Access, Request, run
from support.served import cluster_at, config_for, served
from support.waiting import until

from gateway.backends.kube.answers import whole
from gateway.errors import HopFailed
from gateway.protocol.subprotocols import OWN

# In the other context nothing is to be had: neither reads nor commands
KUBECTL = """#!/bin/sh
echo "$1" >>"${0%/*}/../ran"
case " $* " in *" config "*) exec "$0-here" "$@" ;; esac
if grep -q '"current-context": "west"' "$HOME/.kube/config"; then
  case " $* " in *" proxy "*) echo "west proxy" >>"${0%/*}/../ran" ;;
  *) echo 'Error from server (NotFound): pods "bash-0" not found' >&2; exit 1 ;; esac
fi
exec "$0-here" "$@"
"""
PODS = "/api/v1/namespaces/default/pods"
POD = f"{PODS}/bash-0"


def contexts(demo, current):
    rows = [{"name": name, "context": {"cluster": name, "user": "u"}} for name in ("east", "west")]
    path = demo.directory / "runner" / ".kube" / "config"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"current-context": current, "contexts": rows}))


@pytest.fixture
def demo(own_demo):
    kubectl = own_demo.directory / "bin" / "kubectl"
    kubectl.rename(kubectl.with_name("kubectl-here"))
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o700)
    contexts(own_demo, "east")
    return own_demo


async def test_one_answer_for_reads_and_commands_and_a_line_in_the_log(demo, tmp_path):
    cluster = cluster_at(  # kubectl, since each proxy leads to the same pods here
        demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay", way="kubectl"
    )
    ran = demo.directory / "ran"
    async with served(config_for(cluster), tmp_path) as gateway, AsyncExitStack() as streams:
        access, api = Access(gateway.url, gateway.token), gateway.gateway.backends["default"].kube
        assert (await api.get(POD))["metadata"]["name"] == "bash-0"
        stays = await streams.enter_async_context(api.request("GET", f"{PODS}?watch=true", seconds=None))
        with capture_logs() as logs:
            contexts(demo, "west")

            async def reads_go_west():
                await api.get("/version")
                return "west proxy" in ran.read_text()

            assert await until(reads_go_west, 10) < 3
            said = await run(access, Request(("echo", "hi"), pod="bash-0", container="main"), row=OWN)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):  # it goes on: neither its end nor an error comes
                await whole(stays, 1 << 20)
                pytest.fail("the watch has ended")

    assert said.controls[-1]["code"] == "pod_not_found"
    (line,) = [line for line in logs if line["event"] == "context_changed"]
    assert line["log_level"] == "warning"
    assert (line["before"], line["now"]) == ("east https://demo.invalid", "west https://demo.invalid")


async def test_without_a_relay_each_answer_is_kubectls_own(demo, tmp_path):
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="plain")
    async with served(config_for(cluster), tmp_path) as gateway:
        access, api = Access(gateway.url, gateway.token), gateway.gateway.backends["default"].kube
        assert (await api.get(POD))["metadata"]["name"] == "bash-0"
        contexts(demo, "west")
        with pytest.raises(HopFailed, match="not found"):
            await api.get(POD)
        said = await run(access, Request(("echo", "hi"), pod="bash-0", container="main"), row=OWN)

    assert said.controls[-1]["code"] == "pod_not_found"
