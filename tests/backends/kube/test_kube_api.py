"""The cluster's API through the demo's chain: the same answers with a relay and without; the proxy's life."""

import asyncio
import json
import os
import signal
import socket
import time
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.claims import each_holds
from support.compiled_relay import with_more
from support.leaks import gone
from support.served import cluster_at
from support.waiting import until

from gateway.backends.factory import make
from gateway.backends.kube import answers
from gateway.backends.kube.http_connection import Cut
from gateway.backends.relay import bootstrap
from gateway.backends.relay.bundle import bundle
from gateway.backends.relay.credentials import identity, throw_away
from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop
from gateway.settings.config import Limits

POD = "/api/v1/namespaces/default/pods/web-0"
NAME = "kubectl-1.sock"


@asynccontextmanager
async def backend_on(demo, mode="relay", who=None):
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode=mode)
    async with make(cluster, Limits(), None, who or throw_away()) as one:
        yield one


async def proxies(backend):
    """The pids of the proxies in the relay's directory."""
    return running((await backend.link()).about["directory"])


def absent(path, seconds=8):
    end = time.monotonic() + seconds
    while path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return not path.exists()


def running(directory):
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if f"{directory}/kubectl-".encode() in line:
            found.append(int(entry.parent.name))
    return found


REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
JSON = (("Content-Type", "application/json"),)
KINDS = {
    "/api": "APIVersions", "/apis": "APIGroupList", "/api/v1": "APIResourceList", "/apis/apps/v1": "APIResourceList",
    "/apis/apps/v1/namespaces/default/deployments/api": "Deployment",
}  # fmt: skip


async def all_of(response):
    return b"".join([part async for part in response.body])


@pytest.mark.parametrize("mode", ["relay", "plain", "auto"])
async def test_each_way_answers_the_same(demo, mode, subtests):
    claims = (get_and_list, what_is_missing_is_said_in_the_servers_words, an_answer_that_is_too_long_is_an_error,
              a_request_answers_in_bytes)  # fmt: skip
    async with backend_on(demo, mode) as backend:
        await each_holds(subtests, claims, lambda claim: claim(backend))


async def get_and_list(backend):
    pod = await backend.kube.get(POD)
    assert [one["name"] for one in pod["spec"]["containers"]] == ["side", "main"]
    found = await backend.kube.list("/api/v1/namespaces/default/pods?labelSelector=app%3Dapi")
    assert {pod["metadata"]["labels"]["app"] for pod in found} == {"api"}
    assert len(found) == 2


async def what_is_missing_is_said_in_the_servers_words(backend):
    with pytest.raises(HopFailed) as failed:
        await backend.kube.get(POD.replace("web-0", "nope"))

    assert failed.value.code == "pod_not_found"
    assert failed.value.status.json(http=True) == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \\"nope\\" not found",'
        b'"reason":"NotFound","details":{"name":"nope","kind":"pods"},"code":404}\n'
    )


async def an_answer_that_is_too_long_is_an_error(backend):
    with pytest.raises(HopFailed, match="more than 100 bytes"):
        await backend.kube.get(POD, size=100)
    assert await backend.kube.get(POD)


async def a_request_answers_in_bytes(backend):
    for _ in range(2):
        async with backend.kube.request("GET", POD) as response:
            assert response.status == 200
            assert json.loads(await all_of(response))["metadata"]["name"] == "web-0"


async def test_without_a_relay_a_get_is_all(demo, subtests):
    async with backend_on(demo, "plain") as backend:
        claims = (there_is_no_watch, a_request_is_a_get)
        await each_holds(subtests, claims, lambda claim: claim(backend))


async def there_is_no_watch(backend):
    assert not backend.kube.watches
    with pytest.raises(HopFailed, match="no watch"):
        async for _ in backend.kube.watch("/api/v1/pods"):
            pass
    assert await backend.kube.may("create", "pods/exec", "default", "web-0") is None


async def a_request_is_a_get(backend):
    with pytest.raises(HopFailed, match="no POST without a relay"):
        async with backend.kube.request("POST", REVIEW, JSON, b"{}"):
            pass
    with pytest.raises(HopFailed) as failed:
        async with backend.kube.request("GET", POD.replace("web-0", "nope")):
            pass
    assert failed.value.code == "pod_not_found"


async def test_with_a_relay_there_is_more(demo, subtests):
    claims = (
        a_watch_ends_when_it_is_left, it_may_ask_whether_it_may, a_refusal_is_an_answer_to_a_request,
        a_request_has_headers_and_a_body, a_request_that_is_left_early_hurts_no_other,
        what_is_no_part_of_the_api_is_nothing_for_the_proxy, the_demo_says_what_it_has_as_kubectl_asks,
    )  # fmt: skip
    async with backend_on(demo) as backend:
        await each_holds(subtests, claims, lambda claim: claim(backend))


async def a_watch_ends_when_it_is_left(backend):
    assert backend.kube.watches
    async with aclosing(backend.kube.watch("/api/v1/pods?resourceVersion=1")) as events:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.5)
    assert await backend.kube.get("/version")


async def it_may_ask_whether_it_may(backend):
    assert await backend.kube.may("create", "pods/exec", "default", "web-0") is True


async def a_refusal_is_an_answer_to_a_request(backend):
    async with backend.kube.request("GET", POD.replace("web-0", "nope")) as response:
        assert response.status == 404
        assert json.loads(await all_of(response))["reason"] == "NotFound"
    async with backend.kube.request("GET", "/elsewhere") as response:
        assert (response.status, await all_of(response)) == (403, b"Forbidden\n")


async def a_request_has_headers_and_a_body(backend):
    question = json.dumps(answers.review("create", "pods/exec", "default", "web-0")[1]).encode()

    async def halves():
        yield question[:20]
        yield question[20:]

    length = ("Content-Length", str(len(question)))
    for body, headers in ((question, JSON), (halves(), (*JSON, length))):
        async with backend.kube.request("POST", REVIEW, headers, body) as response:
            assert response.status == 201
            assert ("content-type", "application/json") in response.headers
            assert json.loads(await all_of(response))["status"]["allowed"] is True


async def a_request_that_is_left_early_hurts_no_other(backend):
    async with backend.kube.request("GET", "/api/v1/pods?watch=true") as response:
        assert response.status == 200
        assert await backend.kube.get(POD)
    assert backend.kube.asking == 0
    assert await backend.kube.get(POD)


async def what_is_no_part_of_the_api_is_nothing_for_the_proxy(backend):
    for path in ("/", "/metrics", "/apisx", "/debug/pprof", "/logs/"):
        with pytest.raises(HopFailed, match="403: Forbidden"):
            await backend.kube.get(path)


async def the_demo_says_what_it_has_as_kubectl_asks(backend):
    assert {path: (await backend.kube.get(path))["kind"] for path in KINDS} == KINDS


async def test_a_yes_is_good_for_a_while_and_for_what_was_asked_alone(demo):
    async with backend_on(demo) as backend:
        asked, answer = [], backend.kube._answer

        async def counted(request, *arguments, **options):
            asked.append(request)
            return await answer(request, *arguments, **options)

        backend.kube._answer = counted
        for name in ("web-0", "web-0", "bash-0"):
            assert await backend.kube.may("create", "pods/exec", "default", name)
        assert len(asked) == 2


async def test_one_proxy_that_is_no_session(demo):
    async with backend_on(demo) as backend:
        assert await proxies(backend) == []
        async with asyncio.TaskGroup() as tasks:
            for _ in range(10):
                tasks.create_task(backend.kube.get(POD))
        (one,) = await proxies(backend)
        counts = backend.stats().connections
        assert (counts["connections"], counts["links"], counts["channels"]) == (1, 1, 0)
        directory = Path((await backend.link()).about["directory"])
        assert (directory / NAME).stat().st_mode & 0o777 == 0o700
        hops = await backend.check()
        assert [(hop.hop, hop.ok) for hop in hops][-1] == (Hop.CLUSTER, True)
        assert await proxies(backend) == [one]

    assert await asyncio.to_thread(gone, one, 8)
    assert await asyncio.to_thread(absent, directory)


async def test_a_proxy_that_was_killed_is_started_again(demo):
    async with backend_on(demo) as backend:
        await backend.kube.get(POD)
        (one,) = await proxies(backend)
        os.kill(one, signal.SIGKILL)
        await backend.kube.get(POD)
        (other,) = await proxies(backend)
        assert other != one


async def test_a_client_that_reads_no_answer_hurts_no_proxy(demo):
    """As the probe, which wants the status alone: the demo's proxy writes to a connection that is closed."""
    async with backend_on(demo) as backend:
        await backend.kube.get(POD)
        (one,) = await proxies(backend)
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{(await backend.link()).about['directory']}/{NAME}")
                client.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % POD.encode() * 20)
        await asyncio.sleep(0.2)
        assert await proxies(backend) == [one]
        assert await backend.kube.get(POD)


async def test_one_whose_end_is_not_heard_of_yet_is_started_again(demo, monkeypatch):
    """The connection that there was is cut, the next is refused."""
    async with backend_on(demo) as backend:
        await backend.kube.get(POD)
        api = backend.kube
        request, asked = api._pool.request, []

        async def first_cut(*arguments, **options):
            asked.append(arguments)
            if len(asked) == 1:
                (Path((await backend.link()).about["directory"]) / NAME).unlink()
                raise Cut("reset", unsent=False)
            return await request(*arguments, **options)

        monkeypatch.setattr(api._pool, "request", first_cut)
        assert (await api.get(POD))["metadata"]["name"] == "web-0"
        assert len(asked) == 2
        assert len(await proxies(backend)) == 2  # the first goes on for the connection that it has


async def test_a_request_that_is_cut_is_sent_again_where_that_is_safe(demo, monkeypatch):
    async with backend_on(demo) as backend:
        await backend.kube.get(POD)
        for row in (("POST", False, 1), ("POST", True, 2), ("GET", False, 2), ("HEAD", False, 2)):
            await cut_one(backend, monkeypatch, *row)
            assert await backend.kube.get(POD)


async def cut_one(backend, monkeypatch, method, unsent, times):
    asked = []

    async def cut(*arguments, **options):
        asked.append((arguments, options))
        raise Cut("reset", unsent=unsent)

    with monkeypatch.context() as patched:
        patched.setattr(backend.kube._relayed, "request", cut)
        with pytest.raises(HopFailed, match="kubectl proxy: reset") as failed:
            async with backend.kube.request(method, REVIEW, JSON, b"{}"):
                pass
    assert failed.value.code == "cluster_unreachable", method
    assert [options for _, options in asked] == [{}, {"fresh": True}][:times], method


async def test_two_who_find_its_credentials_old_start_one_more(demo):
    async with backend_on(demo) as backend:
        await backend.kube.get(POD)
        (before,) = await proxies(backend)
        backend.kube._restart()
        await asyncio.sleep(0)  # it is ending
        backend.kube._restart()
        assert (await backend.kube.get(POD))["metadata"]["name"] == "web-0"
        assert await asyncio.to_thread(gone, before, 8)
        assert len(await proxies(backend)) == 1


async def test_a_proxy_that_is_replaced_ends_with_its_last_stream(demo):
    async with backend_on(demo) as backend:
        async with backend.kube.request("GET", "/api/v1/pods?watch=true") as watch:
            (before,) = await proxies(backend)
            backend.kube._restart()
            assert (await backend.kube.get(POD))["metadata"]["name"] == "web-0"
            both = await proxies(backend)
            assert len(both) == 2
            with pytest.raises(TimeoutError):  # it goes on, whatever it has said
                async with asyncio.timeout(0.3):
                    await all_of(watch)
        assert await asyncio.to_thread(gone, before, 8)
        assert {before, *await proxies(backend)} == set(both)


async def test_a_proxy_that_hangs_costs_one_answer(demo):
    async with backend_on(demo) as backend:
        await backend.kube.get(POD)
        (one,) = await proxies(backend)
        os.kill(one, signal.SIGSTOP)
        await until(
            lambda: ") T " in Path(f"/proc/{one}/stat").read_text()
        )  # its threads go on until one is scheduled
        with pytest.raises(HopFailed) as failed:
            await backend.kube.get(POD, seconds=0.5)
        assert failed.value.code == "cluster_unreachable"
        await backend.kube.get(POD)
        assert await proxies(backend) != [one]


async def test_a_relay_that_is_killed_takes_the_proxy_along(demo):
    async with backend_on(demo) as backend:
        await backend.kube.get(POD)
        (one,) = await proxies(backend)
        os.kill((await backend.link()).about["pid"], signal.SIGKILL)
        assert await asyncio.to_thread(gone, one, 8)
        assert await backend.kube.get(POD)


async def test_a_lost_link_leaves_the_proxy_and_asks_nothing_again(demo):
    async with backend_on(demo) as backend:
        await backend.kube.get(POD)
        (one,), link, asked = await proxies(backend), await backend.link(), []
        backend.kube._proxy._destination._cluster = lambda: asked.append(1)
        link.fail(HopFailed("incus_lost", "it is gone"))
        assert await backend.kube.get(POD)
        assert await backend.link() is not link
        assert await proxies(backend) == [one]
        assert asked == []


async def test_the_next_gateway_finds_the_proxy_of_the_one_that_is_gone(demo, tmp_path):
    found = []
    for _ in range(2):
        with identity(tmp_path) as who:
            async with backend_on(demo, who=who) as backend:
                await backend.kube.get(POD)
                found.append(await proxies(backend))
                relay = (await backend.link()).about["pid"]
        assert not await asyncio.to_thread(gone, found[-1][0], 0.2)
    os.kill(relay, signal.SIGTERM)
    assert found[0] == found[1]
    assert await asyncio.to_thread(gone, found[0][0], 8)


def earlier():
    """The relay before it had proxies: it breaks the link where it is asked for one."""
    text = "def _none(*_):\n    raise wire.WireError('argv')\n\nProxyRequest = _none\n_FEATURES.clear()\n"
    return replace(bundle(), archive=with_more(bundle().archive, {"daemon": text}))


async def test_an_earlier_relay_is_not_asked_and_has_a_proxy_on_its_link(demo, monkeypatch):
    monkeypatch.setattr(bootstrap, "bundle", earlier)
    async with backend_on(demo) as backend:
        async with backend.kube.request("GET", "/api/v1/pods?watch=true") as watch:
            (before,) = await proxies(backend)
            assert backend.kube._proxy.age > 0
            backend.kube._restart()
            link = await backend.link()
            assert (await backend.kube.get(POD))["metadata"]["name"] == "web-0"
            assert len(await proxies(backend)) == 2
            with pytest.raises(TimeoutError):  # it goes on, whatever it has said
                async with asyncio.timeout(0.3):
                    await all_of(watch)
        assert await asyncio.to_thread(gone, before, 8)
        (after,) = await proxies(backend)
        assert await backend.link() is link
        link.fail(HopFailed("incus_lost", "it is gone"))
        assert await asyncio.to_thread(gone, after, 8)
        assert (await backend.kube.get(POD))["metadata"]["name"] == "web-0"


async def test_the_relay_of_this_version_has_its_proxy_after_an_earlier_ones(demo):
    async with backend_on(demo) as backend:
        await backend.kube.get(POD)
        assert backend.kube._proxy._present.number == 1
        (await backend.link()).about.pop("features")  # as if it were an earlier one from now on
        backend.kube._restart()
        assert await backend.kube.get(POD)
        assert backend.kube._proxy._present is None
        (await backend.link()).fail(HopFailed("incus_lost", "it is gone"))
        assert await backend.kube.get(POD)
        assert backend.kube._proxy._present.number > 1


async def test_features_that_are_no_list_of_words_are_none(demo):
    async with backend_on(demo) as backend:
        link = await backend.link()
        assert link.offers("proxy")
        for features in (None, "proxy", {"proxy": 1}, [["proxy"]], []):
            link.about["features"] = features
            assert not link.offers("proxy"), features


async def test_without_kubectl_there_is_a_reason(own_demo):
    (own_demo.directory / "bin" / "kubectl").unlink()
    profile = own_demo.directory / "runner" / ".profile"
    profile.write_text(f"{profile.read_text()}PATH={own_demo.directory}/bin:{own_demo.directory}/few\n")
    few = own_demo.directory / "few"
    few.mkdir()
    for name in ("sh", "bash"):
        (few / name).symlink_to(f"/bin/{name}")
    (few / "python3").symlink_to(Path("/usr/bin/python3"))
    async with backend_on(own_demo) as backend:
        for _ in range(2):
            with pytest.raises(HopFailed) as failed:
                await backend.kube.get(POD)
            assert failed.value.code == "kubectl_missing"
        hops = await backend.check()
        assert [hop.hop for hop in hops] == [Hop.SSH, Hop.INCUS, Hop.RUNNER]  # each once
        assert hops[-1].outcome.code == "kubectl_missing"


async def test_a_kubectl_that_cannot_serve_is_a_line_and_no_flood(own_demo):
    path = own_demo.directory / "bin" / "kubectl"
    kubectl = path.read_text()
    path.write_text("#!/bin/sh\necho 'error: no config' >&2; exit 1\n")
    with capture_logs() as logs:
        async with backend_on(own_demo) as backend:
            for _ in range(3):
                with pytest.raises(HopFailed):
                    await backend.kube.get(POD)
                await asyncio.sleep(1.1)  # until it is tried again
            path.write_text(kubectl)
            assert await backend.kube.get(POD)
    assert [(line["event"], line["cluster"], line.get("repeated")) for line in logs] == [
        ("kubectl_proxy_failed", "default", None),
        ("kubectl_proxy_works_again", "default", 2),
    ]


async def test_words_of_a_kubectl_that_cannot_serve(own_demo):
    path = own_demo.directory / "bin" / "kubectl"
    path.write_text('#!/bin/sh\necho "error: error loading config file: yaml" >&2; exit 1\n')
    async with backend_on(own_demo) as backend:
        with pytest.raises(HopFailed, match="error loading config file") as failed:
            await backend.kube.get(POD)
        assert failed.value.code == "kubectl_failed"
