"""What monitoring sees: /healthz, /readyz, /metrics."""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from support.exec_client import Access, Request, run
from support.peer import V5, once, peer
from support.repeated import again
from support.scripted import Scripted
from support.served import cluster_at, config_for, served
from test_sessions import page

from gateway.access.identity import Identity
from gateway.backends.contract import HopCheck
from gateway.demo import demo_chain
from gateway.protocol.outcome import Hop, Outcome
from gateway.protocol.target import Target
from gateway.server import health_cache
from gateway.settings.config import Limits


async def ready(edge):
    answer = await once(edge.url, "GET", "/readyz", (edge.proof,))
    return answer.code, json.loads(answer.body)


async def test_alive_is_what_answers(edge):
    answer = await once(edge.url, "GET", "/healthz")

    assert (answer.code, answer.body) == (200, b"ok\n")


async def test_ready_names_every_hop_and_what_it_took(edge):
    code, body = await ready(edge)

    assert code == 200
    assert body["ready"] is True
    cluster = body["clusters"]["default"]
    assert [hop["hop"] for hop in cluster["hops"]] == ["ssh", "incus", "runner", "cluster"]
    assert all(hop["ok"] and hop["ms"] == 1.0 and hop["message"] == "" for hop in cluster["hops"])
    assert cluster["checkedSecondsAgo"] >= 0
    assert cluster["ssh"] == {"connections": 1, "channels": 0}
    assert cluster["restarts"] == {}


async def test_ready_tells_of_the_breaker_as_it_is_now(cluster, tmp_path):
    """Not as it was at the last check."""
    other = replace(cluster, ssh_known_hosts=tmp_path / "none")
    other.ssh_known_hosts.write_text("")
    async with served(config_for(other), tmp_path) as running:
        proof = ("Authorization", f"Bearer {running.token}")
        states = []
        for _ in range(2):
            answer = await once(running.url, "GET", "/readyz", (proof,))
            states.append(json.loads(answer.body)["clusters"]["default"])
            for _ in range(4):
                await run(Access(running.url, running.token), Request(("true",), pod="web-0"))

    assert [state["hops"][0]["code"] for state in states] == ["ssh_host_key"] * 2
    first, last = (state["ssh"] for state in states)
    assert (first["breaker_open"], first["breaker_seconds"]) == (0, 0)
    assert last["breaker_open"] == 1
    assert 0 < last["breaker_seconds"] <= 60
    assert last["connections"] == last["waiting"] == 0


async def test_not_ready_names_the_hop_that_failed(edge):
    broken = HopCheck(Hop.INCUS, None, Outcome("incus_stopped", "the instance is not running"))
    edge.backend.hops = [edge.backend.hops[0], broken]

    code, body = await ready(edge)

    assert code == 503
    assert body["ready"] is False
    last = body["clusters"]["default"]["hops"][-1]
    assert last == {
        "hop": "incus", "ok": False, "ms": None, "code": "incus_stopped", "message": "the instance is not running",
    }  # fmt: skip


async def test_ready_while_one_cluster_answers_and_one_may_be_asked_for(edge):
    broken = Scripted()
    broken.hops = [HopCheck(Hop.SSH, None, Outcome("ssh_unreachable", "no way"))]
    edge.gateway.backends["far"] = broken
    try:
        for query, code, names in (
            ("", 200, {"default", "far"}), ("?cluster=default", 200, {"default"}), ("?cluster=far", 503, {"far"}),
        ):  # fmt: skip
            answer = await once(edge.url, "GET", f"/readyz{query}", (edge.proof,))
            assert (answer.code, set(json.loads(answer.body)["clusters"])) == (code, names)
        answer = await once(edge.url, "GET", "/readyz?cluster=nope", (edge.proof,))
        assert answer.code == 404
        assert b"it has default, far" in answer.body
    finally:
        del edge.gateway.backends["far"]


def whoever(edge, proof=()):
    """Asks the gateway for readiness with this proof: the HTTP code and the body."""

    async def ask(query=""):
        answer = await once(edge.url, "GET", f"/readyz{query}", proof)
        return answer.code, json.loads(answer.body)

    return ask


async def test_who_sees_what_of_the_hops(edge):
    """Somebody: the hops. The operator: what they say, too."""
    whole = edge.backend.hops
    secret = Outcome("ssh_unreachable", "ops@mgmt.example.com:22 does not answer, with /home/ops/.ssh/id")
    ann = whoever(edge, (page(edge, "ann"),))
    edge.gateway.checks._last.clear()
    edge.backend.hops = [HopCheck(Hop.SSH, None, secret)]

    code, body = await ann()
    assert (code, body["ready"], body["code"]) == (503, False, "ssh_unreachable")
    (row,) = body["clusters"].values()
    assert set(row) == {"hops", "checkedSecondsAgo"}
    assert row["hops"] == [{"hop": "ssh", "ok": False, "ms": None, "code": "ssh_unreachable", "message": ""}]
    code, body = await ready(edge)
    assert (code, body["ready"], body["code"]) == (503, False, "ssh_unreachable")
    assert set(body["clusters"]["default"]) == {"hops", "checkedSecondsAgo", "ssh", "restarts"}
    assert body["clusters"]["default"]["hops"][0]["message"] == secret.message
    edge.backend.hops = whole


async def test_without_a_credential_nobody_is_ready(edge):
    for query in ("", "?cluster=default", "?cluster=nope"):
        assert (await whoever(edge)(query))[0] == 401
    assert (await whoever(edge, (("Authorization", "Bearer unknown-0123456789"),))())[0] == 401
    await edge.gateway.registry.stop()
    code, body = await ready(edge)
    assert (code, body["ready"], body["code"]) == (503, False, "shutdown")


async def test_clusters_that_somebody_may_not_read_are_not_named(edge):
    """A link for one target knows its own cluster alone, and is as ready as that."""
    far = Scripted()
    far.hops = [HopCheck(Hop.SSH, None, Outcome("ssh_unreachable", "no way"))]
    edge.gateway.backends["far"] = far
    edge.gateway.metrics.watch("far", far)
    tokens = edge.gateway.access.tokens
    only = Target("far", "default", "web-0")
    token, _ = tokens.trade(tokens.ticket(Identity("ann", "page", only=only)))
    ann = ("Authorization", f"Bearer {token}")
    try:
        code, body = await whoever(edge, (ann,))()
        assert (code, list(body["clusters"])) == (503, ["far"])
        code, body = await whoever(edge, (ann,))("?cluster=default")
        assert (code, "it has far" in body["message"]) == (404, True)
        other = await once(edge.url, "GET", "/clusters/nope/api/v1/namespaces/default/pods/web-0", (ann,))
        assert "it has far" in other.status["message"]
        assert "default'" not in other.status["message"]
        for proof, names in (((ann,), {"far"}), ((edge.proof,), {"default", "far"})):
            text = (await once(edge.url, "GET", "/metrics", proof)).body.decode()
            assert set(re.findall(r'cluster="(\w+)"', text)) == names
            assert "dap_tasks" in text
            body = json.loads((await once(edge.url, "GET", "/gateway/v1/info", proof)).body)
            assert {row["name"] for row in body["clusters"]} == names
        assert (await once(edge.url, "GET", "/metrics")).code == 401
    finally:
        del edge.gateway.backends["far"]


async def test_hops_are_looked_at_once_in_a_while_however_often_one_asks(edge, monkeypatch):
    times = 0

    async def check():
        nonlocal times
        times += 1
        await asyncio.sleep(0.05)
        return edge.backend.hops

    edge.backend.check = check
    for _ in range(2):
        await asyncio.gather(*(ready(edge) for _ in range(20)))
    assert times == 1
    monkeypatch.setattr(health_cache, "FRESH", 0.0)
    await ready(edge)
    assert times == 2


async def test_a_hop_that_has_been_mended_is_looked_at_again_at_once(edge, monkeypatch):
    monkeypatch.setattr(health_cache, "FAILED", 0.0)
    whole = edge.backend.hops
    edge.backend.hops = [HopCheck(Hop.SSH, None, Outcome("ssh_unreachable", "no way"))]
    assert (await ready(edge))[0] == 503
    edge.backend.hops = whole
    assert (await ready(edge))[0] == 200


async def test_a_check_that_is_a_defect_is_told_and_the_next_one_is_made(edge, logged):
    async def check():
        raise LookupError("a bug")

    whole, edge.backend.check = edge.backend.check, check
    assert (await once(edge.url, "GET", "/readyz", (edge.proof,))).status["code"] == 500
    assert "LookupError" in logged()
    edge.backend.check = whole
    assert (await ready(edge))[0] == 200


async def test_a_gateway_that_stops_is_alive_and_not_ready(edge):
    await edge.gateway.registry.stop()

    assert (await ready(edge))[0] == 503
    assert (await once(edge.url, "GET", "/healthz")).code == 200


async def test_a_check_that_nobody_waits_for_any_more_does_no_harm(edge, logged):
    gate = asyncio.Event()

    async def check():
        await gate.wait()
        return edge.backend.hops

    edge.backend.check = check
    async with peer(edge.url) as client:
        client.request("GET", "/readyz", (edge.proof,))
        await asyncio.sleep(0.02)
        client.reset()
    gate.set()
    assert (await ready(edge))[0] == 200
    assert logged() == ""


async def test_the_chain_is_ready_until_its_host_is_gone(cluster, tmp_path, monkeypatch):
    """The demo's hops answer; when its SSH server has ended, ssh is the one that is named."""
    monkeypatch.setattr(health_cache, "FRESH", 0.0)
    async with AsyncExitStack() as stack:
        demo = await stack.enter_async_context(demo_chain())
        lost = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, "lost")
        async with served(config_for(cluster, lost, limits=Limits(ssh_connect=2)), tmp_path) as running:
            proof = ("Authorization", f"Bearer {running.token}")
            answer = await once(running.url, "GET", "/readyz", (proof,))
            assert answer.code == 200
            for row in json.loads(answer.body)["clusters"].values():
                assert [hop["hop"] for hop in row["hops"]] == ["ssh", "incus", "runner", "cluster"]
                assert all(hop["ms"] > 0 for hop in row["hops"])

            await stack.aclose()
            answer = await once(running.url, "GET", "/readyz", (proof,))
            clusters = json.loads(answer.body)["clusters"]
            assert answer.code == 200, "the other one answers"
            assert [hop["hop"] for hop in clusters["lost"]["hops"]] == ["ssh"]
            assert clusters["lost"]["hops"][0]["code"] in ("ssh_lost", "ssh_unreachable", "ssh_config")
            assert all(hop["ok"] for hop in clusters["default"]["hops"])
            assert (await once(running.url, "GET", "/readyz?cluster=lost", (proof,))).code == 503


async def test_metrics_tell_of_sessions_bytes_phases_and_refusals(edge):
    access = Access(edge.url, edge.proof[1].removeprefix("Bearer "))

    async def script(talk):
        await talk.stdin(b"12345")
        await talk.half_close()

    await run(access, Request(("cat",), streams=("stdin", "stdout")), script)
    await run(access, Request(("refuse",)))
    await run(Access(edge.url, "wrong"), Request(("cat",)))
    await once(edge.url, "GET", "/metrics", host="evil.test")
    await once(edge.url, "POST", "/gateway/v1/token", body=b'{"ticket":"x"}')
    async with peer(edge.url) as client:
        await client.upgrade(
            "/api/v1/namespaces/default/pods/web-0/exec?command=cat&stdout=1&dryRun=1", (V5, edge.proof)
        )
    answer = await once(edge.url, "GET", "/metrics", (edge.proof,))

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = set(answer.body.decode().splitlines())
    assert lines >= {
        'dap_sessions_total{cluster="default",hop="pod",outcome="exited",way="kubectl"} 1.0',
        'dap_sessions_total{cluster="default",hop="ssh",outcome="ssh_refused",way=""} 1.0',
        'dap_bytes_total{direction="in"} 5.0',
        'dap_bytes_total{direction="out"} 5.0',
        'dap_open_seconds_count{phase="started"} 1.0',
        'dap_open_seconds_count{phase="first_byte"} 1.0',
        'dap_refused_total{code="unauthorized"} 1.0',
        'dap_refused_total{code="place"} 1.0',
        'dap_refused_total{code="ticket"} 1.0',
        'dap_refused_total{code="bad_request"} 1.0',
        'dap_ssh{cluster="default",what="connections"} 1.0',
        'dap_ssh{cluster="default",what="channels"} 0.0',
        'dap_orphans_ended_total{cluster="default",where="finish"} 2.0',
        'dap_orphans_ended_total{cluster="default",where="lease"} 1.0',
    }


@pytest.mark.parametrize("count", [100, again(500)])
async def test_what_clients_say_makes_no_new_series(edge, count):
    """Labels are words of ours alone: nobody can fill the memory with names."""
    await once(edge.url, "GET", "/metrics", (edge.proof,))
    for number in range(count):
        path = (
            f"/clusters/c{number}/api/v1/namespaces/n{number}/pods/p{number}/exec?command=x{number}&stdout=1"
        )
        async with peer(edge.url) as client:
            await client.upgrade(path, (V5, edge.proof, ("User-Agent", f"agent {number}")))
    text = (await once(edge.url, "GET", "/metrics", (edge.proof,))).body.decode()

    assert len(text.splitlines()) < 60
    assert f'dap_refused_total{{code="cluster_unknown"}} {count}.0' in text
