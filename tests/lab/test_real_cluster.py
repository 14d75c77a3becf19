"""The cluster's API on the real chain: the proxy as kubectl has it, and how quick an answer is."""

import statistics
import time
from contextlib import aclosing
from dataclasses import replace

import pytest

from gateway.backends.factory import make
from gateway.backends.relay.credentials import throw_away
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target
from gateway.settings.config import Limits

pytestmark = pytest.mark.lab
POD = "/api/v1/namespaces/default/pods/bash-0"
QUICK = 15.0  # milliseconds for a warm answer


@pytest.fixture
async def backend(cluster):
    """The real chain through its relay."""
    async with make(replace(cluster, mode="relay"), Limits(), None, throw_away()) as one:
        yield one


async def test_a_warm_answer_is_quick(backend, record_property):
    took = []
    for _ in range(101):
        began = time.perf_counter()
        assert (await backend.kube.get(POD))["metadata"]["name"] == "bash-0"
        took.append((time.perf_counter() - began) * 1000)

    record_property("cluster.get p50 ms", round(statistics.median(took[1:]), 2))
    assert statistics.median(took[1:]) <= QUICK


async def test_errors_are_the_api_servers_own(backend):
    with pytest.raises(HopFailed) as failed:
        await backend.kube.get("/api/v1/namespaces/default/pods/nope")

    assert failed.value.status.json(http=True) == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \\"nope\\" not found",'
        b'"reason":"NotFound","details":{"name":"nope","kind":"pods"},"code":404}\n'
    )


@pytest.mark.parametrize("path", ["/", "/metrics", "/logs/", "/apisx"])
async def test_kubectls_own_filter_is_in_force(backend, path):
    with pytest.raises(HopFailed, match="403: Forbidden"):
        await backend.kube.get(path)
    assert await backend.kube.may("create", "pods/exec", "default", "bash-0") is True


@pytest.mark.alone
async def test_a_check_sees_a_kubeconfig_that_is_gone(backend):
    """As the next session would; the proxy that runs has read it long ago."""
    assert all(one.ok for one in await backend.check())
    assert await backend.kube.get(POD)
    await in_the_runner(backend, "mv ~/.kube/config ~/.kube/away")
    try:
        *passed, cluster = await backend.check()
    finally:
        await in_the_runner(backend, "mv ~/.kube/away ~/.kube/config")

    assert all(one.ok for one in passed)
    assert cluster.outcome.code == "kubeconfig_missing"
    assert all(one.ok for one in await backend.check())


async def in_the_runner(backend, script):
    async with backend.exec(Target("default"), Command(("sh", "-c", script), "run", stdout=True)) as channel:
        async for _ in channel.output():
            pass
        assert (await channel.wait()).exit_code == 0


async def test_a_watch_begins_with_what_is_there(backend):
    path = "/api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Dbash-0"
    async with aclosing(backend.kube.watch(path)) as events:
        event = await anext(events)

    assert (event.kind, event.object["metadata"]["name"]) == ("ADDED", "bash-0")
