"""The pod is looked up: refusals in the API server's words, before anything runs that must not."""

import asyncio

import pytest
from support.exec_client import Access, Request, run
from support.peer import OWN as OWN_HEADER
from support.peer import UPGRADE, once, peer
from support.peer import V5 as V5_HEADER
from support.scripted import pod_called
from support.served import TOKEN

from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop
from gateway.protocol.status import failure
from gateway.protocol.subprotocols import OWN, V4, V5
from gateway.server import lookup
from gateway.server.websocket import opening

PODS = "/api/v1/namespaces/default/pods"
NOT_FOUND = failure(404, 'pods "p" not found', details={"name": "p", "kind": "pods"})


@pytest.fixture
def access(edge):
    return Access(edge.url, TOKEN)


@pytest.fixture
def quick(monkeypatch):
    """What never answers is not waited for long."""
    for name in ("RESOLVE", "VERIFY"):
        monkeypatch.setattr(lookup, name, 0.05)


def request(argv=("echo", "hi"), **more):
    return Request(argv, **{"pod": "p", "container": "main", **more})


@pytest.mark.parametrize("row", [V5, V4], ids=["v5", "v4"])
async def test_a_missing_pod_is_refused_before_the_upgrade(edge, access, row):
    edge.backend.kube.objects[f"{PODS}/p"] = HopFailed("pod_not_found", NOT_FOUND.message, NOT_FOUND)

    said = await run(access, request(("hold",)), row=row)

    assert (said.refusal.code, said.refusal.content_type) == (404, "application/json")
    assert said.refusal.body == NOT_FOUND.json(http=True)
    await edge.idle()
    assert edge.outcomes() == {"pod_not_found": 1}
    assert edge.metric('dap_refused_total{code="pod_not_found"}') == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("reaching", "hop"), [(Hop.INCUS, "incus"), (None, "cluster")])
async def test_our_own_clients_hear_which_hop_a_lookup_waits_for(edge, access, monkeypatch, reaching, hop):
    monkeypatch.setattr(opening, "_LOOK", 0.005)
    edge.backend.kube.slow, edge.backend.reaching = True, reaching

    said = await run(access, request(pod="deploy/api"), row=OWN)

    assert (said.opening, said.controls[0]["type"]) == ([hop], "hello")


async def test_our_own_clients_hear_it_in_band(edge, access):
    edge.backend.kube.objects[f"{PODS}/p"] = HopFailed("pod_not_found", NOT_FOUND.message, NOT_FOUND)

    said = await run(access, request(), row=OWN)

    (control,) = said.controls
    assert (control["type"], control["code"], control["hop"]) == ("refused", "pod_not_found", "cluster")
    assert said.statuses == [NOT_FOUND.json()]
    assert said.close_code == 1000


@pytest.mark.parametrize(
    ("pod", "asked", "message"),
    [
        (pod_called("p", "a", "b"), {"container": "x"}, "container x is not valid for pod p"),
        (
            pod_called("p", "a", "b"),
            {"container": ""},
            "a container name must be specified for pod p, choose one of: [a b]",
        ),
        (pod_called("p", nodeName=""), {}, "pod p does not have a host assigned"),
    ],
    ids=["container", "several", "pending"],
)
async def test_what_the_api_server_would_not_connect_to(edge, access, pod, asked, message):
    edge.backend.kube.objects[f"{PODS}/p"] = pod

    said = await run(access, request(**asked))

    assert said.refusal.body == failure(400, message).json(http=True)


async def test_a_command_without_a_container_runs_only_where_there_is_one(edge, access):
    """Kubectl would take a default one: nothing is started before it is known."""
    cluster = edge.backend.kube
    cluster.objects[f"{PODS}/p"] = pod_called("p", "a", "b")

    assert (await run(access, request(container=""))).refusal.code == 400
    assert edge.backend.opened == []

    cluster.objects[f"{PODS}/p"] = pod_called("p", "only")
    assert (await run(access, request(container=""))).stdout == b"hi"
    assert [target.container for target, _ in edge.backend.opened] == ["only"]


async def test_our_own_clients_get_the_default_container(edge, access):
    pod = pod_called("p", "a", "b")
    pod["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "b"}
    edge.backend.kube.objects[f"{PODS}/p"] = pod

    said = await run(access, request(container=""), row=OWN)

    assert said.stdout == b"hi"
    assert said.controls[0]["target"] == {
        "cluster": "default",
        "namespace": "default",
        "pod": "p",
        "container": "b",
    }


@pytest.mark.parametrize("row", [V5, OWN], ids=["v5", "own"])
@pytest.mark.parametrize(
    "name", ["deploy%2Fapi", "deployments%2Fapi", "deployment.apps%2Fapi", "Deployment%2Fapi"]
)
async def test_a_workload_is_its_ready_pod(edge, access, row, name):
    unready = pod_called("api-1")
    unready["status"]["conditions"] = []
    cluster = edge.backend.kube
    cluster.objects = {
        "/apis/apps/v1/namespaces/default/deployments/api": {
            "spec": {"selector": {"matchLabels": {"app": "a/b"}}}
        },
        f"{PODS}?labelSelector=app%3Da%2Fb": [unready, pod_called("api-2")],
    }

    said = await run(access, request(pod=name.replace("%2F", "/")), row=row)

    assert said.stdout == b"hi"
    assert [(target.pod, target.container) for target, _ in edge.backend.opened] == [("api-2", "main")]
    if row is OWN:
        assert said.controls[0]["target"]["pod"] == "api-2"


async def test_a_workload_without_a_ready_pod_says_what_there_is(edge, access):
    unready = pod_called("api-1")
    unready["status"] = {
        "phase": "Running",
        "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
    }
    cluster = edge.backend.kube
    cluster.objects = {
        "/api/v1/namespaces/default/services/web": {"spec": {"selector": {"app": "web"}}},
        f"{PODS}?labelSelector=app%3Dweb": [unready],
    }

    said = await run(access, request(pod="svc/web"), row=OWN)

    (control,) = said.controls
    assert control["code"] == "no_ready_pod"
    assert control["message"] == "svc/web has no ready pod: api-1 is CrashLoopBackOff, in namespace default"
    assert said.status.code == 503
    assert edge.backend.opened == []


@pytest.mark.parametrize(
    ("meta", "how"),
    [({}, "runs, and is not ready"), ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, "is being deleted")],
    ids=["unready", "leaving"],
)
@pytest.mark.parametrize("row", [V5, OWN], ids=["v5", "own"])
async def test_without_a_ready_pod_it_is_one_that_runs_and_the_client_is_told(edge, access, row, meta, how):
    unready = pod_called("api-1")
    unready["status"]["conditions"] = []
    unready["metadata"] |= meta
    edge.backend.kube.objects = {
        "/api/v1/namespaces/default/services/web": {"spec": {"selector": {"app": "web"}}},
        f"{PODS}?labelSelector=app%3Dweb": [unready],
    }

    said = await run(access, request(pod="svc/web"), row=row)

    assert said.stdout == b"hi"
    assert [target.pod for target, _ in edge.backend.opened] == ["api-1"]
    if row is OWN:
        assert said.controls[0]["note"] == f"svc/web has no ready pod; this is api-1, which {how}"


async def test_of_a_ready_pod_there_is_nothing_to_say(access):
    assert "note" not in (await run(access, request(), row=OWN)).controls[0]


async def test_a_service_that_selects_nothing_is_no_way_to_a_pod(edge, access):
    edge.backend.kube.objects = {"/api/v1/namespaces/default/services/web": {"spec": {}}}

    said = await run(access, request(pod="svc/web"), row=OWN)

    assert said.controls[0]["code"] == "no_ready_pod"


async def test_a_workload_that_cannot_be_looked_up_is_kubectls_to_find(edge, access):
    busy = failure(503, "later")
    edge.backend.kube.objects["/apis/apps/v1/namespaces/default/deployments/api"] = HopFailed(
        "cluster_failed", "", busy
    )

    assert (await run(access, request(pod="deploy/api"))).stdout == b"hi"
    assert edge.backend.opened[0][0].pod == "deploy/api"
    assert len(edge.backend.kube.asked) == 1


@pytest.mark.parametrize("name", ["pod/p", "pods/p", "Pod/p"])
async def test_pod_and_its_name_are_a_pod(edge, access, name):
    assert (await run(access, request(pod=name))).stdout == b"hi"
    assert [target.pod for target, _ in edge.backend.opened] == ["p"]


async def test_who_may_not_exec_is_refused_in_kubectls_words(edge, access):
    edge.backend.kube.allowed = False

    said = await run(access, request(("forbidden",)))

    assert said.refusal.code == 403
    assert said.refusal.body == failure(
        403, 'pods "p" is forbidden: User "u" may not', details={"name": "p", "kind": "pods"}
    ).json(http=True)


@pytest.mark.parametrize("row", [V5, V4], ids=["v5", "v4"])
async def test_kubectl_may_be_faster_than_the_lookup(edge, access, row, monkeypatch):
    monkeypatch.setattr(lookup, "VERIFY", 0.5)
    edge.backend.kube.slow = True

    assert (await run(access, request(("forbidden",)), row=row)).refusal.code == 403


@pytest.mark.usefixtures("quick")
async def test_who_gets_in_all_the_same_is_let_in(edge, access):
    """Kubectl decides: an older server asks for another verb."""
    edge.backend.kube.allowed = False

    assert (await run(access, request())).stdout == b"hi"
    assert (await run(access, request(("true",)))).status.exit_code == 0


@pytest.mark.parametrize(
    "error",
    [
        None,
        HopFailed("cluster_unreachable", "no way"),
        HopFailed("cluster_failed", "later", failure(503, "later")),
        HopFailed("cluster_unauthorized", "who?", failure(401, "who?")),
    ],
    ids=["silent", "unreachable", "busy", "unauthorized"],
)
@pytest.mark.parametrize("container", ["main", ""])
@pytest.mark.parametrize("row", [V5, OWN], ids=["v5", "own"])
@pytest.mark.usefixtures("quick")
async def test_a_cluster_that_cannot_be_asked_stops_nobody(edge, access, row, error, container):
    edge.backend.kube.slow = error is None
    edge.backend.kube.objects[f"{PODS}/p"] = error

    said = await run(access, request(container=container), row=row)

    assert said.stdout == b"hi"
    assert edge.backend.opened[0][0].container == (container or None)


async def test_without_a_relay_kubectl_is_waited_for(edge, access):
    """To look would cost a second kubectl, and the first one says the same."""
    edge.backend.kube.watches = False

    assert (await run(access, request(("forbidden",)))).refusal.code == 403
    said = await run(access, request(("forbidden",)), row=OWN)
    assert [control["type"] for control in said.controls] == ["hello", "started", "end"]
    assert said.controls[-1]["code"] == "forbidden"
    assert (await run(access, request())).stdout == b"hi"
    assert edge.backend.kube.asked == []


@pytest.mark.usefixtures("quick")
async def test_without_a_relay_a_silent_command_is_let_in_soon(edge, access):
    edge.backend.kube.watches = False

    async def script(talk):
        await talk.stdin(b"x")
        await talk.half_close()

    said = await run(access, request(("cat",), streams=("stdin", "stdout")), script)

    assert said.stdout == b"x"
    assert edge.backend.kube.asked == []


async def test_without_a_relay_only_a_container_that_is_not_named_is_looked_up(edge, access):
    edge.backend.kube.watches = False
    edge.backend.kube.objects[f"{PODS}/p"] = pod_called("p", "a", "b")

    assert (await run(access, request(container=""))).refusal.code == 400
    assert edge.backend.kube.asked == [f"{PODS}/p"]
    assert edge.backend.opened == []


async def test_a_pod_that_has_finished_may_have_no_such_container(edge, access):
    """Without a relay kubectl looks at the pod's phase first, an API server never does."""
    edge.backend.kube.watches = False

    said = await run(access, request(("completed",), container="x"))
    assert said.refusal.body == failure(400, "container x is not valid for pod p").json(http=True)
    assert (await run(access, request(("completed",)))).status.code == 500


async def test_what_a_finished_pod_has_is_waited_for(edge, access, monkeypatch):
    """Longer than an upgrade waits: the command has ended, and nobody is held up."""
    answer = edge.backend.kube.get

    async def late(path, **more):
        await asyncio.sleep(2 * lookup.VERIFY)
        return await answer(path, **more)

    edge.backend.kube.watches = False
    monkeypatch.setattr(lookup, "VERIFY", 0.5)
    monkeypatch.setattr(edge.backend.kube, "get", late)

    assert (await run(access, request(("completed",), container="x"))).refusal.code == 400


async def test_a_bad_handshake_starts_nothing(edge):
    headers = [(name, "14" if name == "Sec-WebSocket-Version" else value) for name, value in UPGRADE]
    answer = await once(
        edge.url, "GET", f"{PODS}/p/exec?command=true&stdout=1", (*headers, OWN_HEADER, edge.proof)
    )

    assert answer.code == 426  # RFC 6455 4.4
    assert edge.backend.opened == []


@pytest.mark.usefixtures("quick")
async def test_a_client_that_leaves_during_the_lookup_leaves_nothing(edge):
    edge.backend.kube.slow = True
    async with peer(edge.url) as client:
        path = f"{PODS}/p/exec?command=hold&stdout=1&container=main"
        client.request("GET", path, (*UPGRADE, V5_HEADER, edge.proof))
        await edge.backend.until(1)
    await edge.idle(5)


async def test_the_lookup_does_not_hold_up_the_start(edge):
    """The command runs before the cluster has said anything."""
    edge.backend.kube.slow = True
    async with peer(edge.url) as client:
        path = f"{PODS}/p/exec?command=hold&stdout=1&container=main"
        client.request("GET", path, (*UPGRADE, V5_HEADER, edge.proof))
        await edge.backend.until(1)
        assert (await client.answer()).code == 101
    await asyncio.wait_for(edge.idle(5), 5)


@pytest.mark.parametrize("row", [V5, OWN], ids=["v5", "own"])
@pytest.mark.parametrize("container", ["main", None])
async def test_a_pod_that_a_session_has_watched_is_not_read_again(edge, access, row, container):
    edge.backend.fated.watched = pod_called("p", "main")
    edge.backend.kube.objects[f"{PODS}/p"] = HopFailed("cluster_failed", "asked after all")

    said = await run(access, request(container=container), row=row)

    assert said.stdout == b"hi"
    assert f"{PODS}/p" not in edge.backend.kube.asked


async def test_a_pod_that_is_watched_is_refused_like_one_that_is_read(edge, access):
    edge.backend.fated.watched = pod_called("p", "a", "b")

    said = await run(access, request(container="x"), row=V5)

    assert b"container x is not valid for pod p" in said.refusal.body
