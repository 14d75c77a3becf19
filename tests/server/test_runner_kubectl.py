"""How a command line of kubectl begins in the runner: for whoever may run it there, and in whose name it asks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.peer import once
from support.served import cluster_at
from test_sessions import page

from gateway.access.impersonation import Impersonation

PATH = "/gateway/v1/clusters/default/kubectl"


@pytest.fixture
def cluster(edge):
    """The edge's cluster, with a kubectl, a context and a namespace of its own."""
    plain = cluster_at("nobody", Path("/none"), Path("/none"), "vm")
    settings = replace(plain, kubectl=("k3s", "kubectl"), kube_context="lab", namespace="shop")
    edge.gateway.config.clusters["default"] = settings
    return settings


async def test_it_begins_with_the_clusters_kubectl_context_and_namespace(edge, cluster):
    answer = await once(edge.url, "GET", PATH, (edge.proof,))

    words = ["k3s", "kubectl", "--context", "lab", "-n", "shop"]
    assert json.loads(answer.body) == {"argv": words, "impersonates": False}
    edge.gateway.config.clusters["default"] = replace(
        cluster, kubectl=("kubectl",), kube_context="", namespace=""
    )
    answer = await once(edge.url, "GET", PATH, (edge.proof,))
    assert json.loads(answer.body)["argv"] == ["kubectl"]


async def test_it_asks_in_the_name_of_whoever_is_not_the_gateways_user(edge, cluster, monkeypatch):
    edge.gateway.impersonation.clusters = Impersonation(["default"]).clusters
    monkeypatch.setattr("gateway.access.impersonation.owner", lambda: "somebody else")
    answer = await once(edge.url, "GET", PATH, (edge.proof,))

    body = json.loads(answer.body)
    assert body["impersonates"]
    assert body["argv"][:-1] == [*cluster.kubectl_argv, "-n", "shop"]
    assert body["argv"][-1].startswith("--as=")


async def test_whoever_may_not_run_commands_there_is_refused(edge, cluster):
    answer = await once(edge.url, "GET", PATH, (page(edge, "ann"),))

    assert answer.code == 403
    assert cluster.vm not in str(answer.status["message"])
    assert (await once(edge.url, "GET", PATH.replace("default", "none"), (edge.proof,))).code == 404
