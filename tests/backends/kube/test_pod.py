"""Which container and which pod: Kubernetes' rules, on objects as the API server has them."""

import pytest

from gateway.backends.kube import pod as pods


def pod(
    name="p",
    *containers,
    ready="2026-01-01T00:00:00Z",
    node="n",
    restarts=0,
    made="2026-01-01T00:00:00Z",
    **meta,
):
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": ready}]
    return {
        "metadata": {"name": name, "creationTimestamp": made, **meta},
        "spec": {"containers": [{"name": one} for one in containers or ("main",)], "nodeName": node},
        "status": {
            "phase": "Running", "conditions": conditions,
            "containerStatuses": [{"name": "main", "restartCount": restarts, "state": {"running": {}}}],
        },
    }  # fmt: skip


def in_phase(name, phase):
    found = pod(name, ready="")
    found["status"]["phase"] = phase
    return found


def crashing(name):
    found = pod(name, ready="")
    found["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    return found


def with_inits(*containers):
    found = pod("p", *containers)
    found["spec"]["initContainers"] = [{"name": "prep"}]
    found["spec"]["ephemeralContainers"] = [{"name": "debug"}]
    return found


@pytest.mark.parametrize(
    ("found", "container", "code", "message"),
    [
        (pod(), None, None, ""),
        (pod(), "main", None, ""),
        (with_inits("one"), None, None, ""),
        (with_inits("one"), "prep", None, ""),
        (with_inits("one"), "debug", None, ""),
        (pod(), "x", "container_not_found", "container x is not valid for pod p"),
        (pod("p", "a", "b"), None, "container_needed",
         "a container name must be specified for pod p, choose one of: [a b]"),
        (with_inits("a", "b"), None, "container_needed",
         "a container name must be specified for pod p, choose one of: [prep a b debug]"),
        (pod(node=""), "main", "pod_pending", "pod p does not have a host assigned"),
        (pod(node=""), "x", "container_not_found", "container x is not valid for pod p"),
        ({"spec": {}}, None, "container_needed", "a container name must be specified for pod p"),
    ],
)  # fmt: skip
def test_what_the_api_server_would_not_connect_to(found, container, code, message):
    outcome = pods.refusal(found, "p", container)

    assert (outcome.code if outcome else None) == code
    if outcome:
        assert (outcome.status.code, outcome.status.message) == (400, message)


def test_a_person_hears_which_containers_there_are():
    assert (
        pods.refusal(pod("p", "a", "b"), "p", "x").message
        == "container x is not valid for pod p; it has a, b"
    )


@pytest.mark.parametrize(
    ("annotation", "container"), [({}, "side"), ({"x": "y"}, "side"), ("main", "main"), ("gone", "side")]
)
def test_the_default_container_is_the_annotations_or_the_first(annotation, container):
    key = "kubectl.kubernetes.io/default-container"
    annotations = annotation if isinstance(annotation, dict) else {key: annotation}

    assert pods.default_container(pod("p", "side", "main", annotations=annotations)) == container


@pytest.mark.parametrize(
    ("spec", "selector"),
    [
        ({"selector": {"app": "web", "tier": "a"}}, "app=web,tier=a"),
        ({"selector": {"matchLabels": {"app": "web"}}}, "app=web"),
        (
            {"selector": {"matchLabels": {"app": "web"}, "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["x", "y"]}, {"key": "b", "operator": "NotIn", "values": ["z"]},
                {"key": "c", "operator": "Exists"}, {"key": "d", "operator": "DoesNotExist"}]}},
            "app=web,a in (x,y),b notin (z),c,!d",
        ),
        ({"selector": {"matchExpressions": [{"key": "c", "operator": "New"}]}}, None),
        ({"selector": {}}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_selectors(spec, selector):
    assert pods.selector({"spec": spec}) == selector


def test_a_selector_is_quoted_where_it_stands_in_a_path():
    assert (
        pods.selected("ns", "a in (x,y),!b")
        == "/api/v1/namespaces/ns/pods?labelSelector=a%20in%20%28x%2Cy%29%2C%21b"
    )


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ([pod("new", ready="2026-02-01T00:00:00Z"), pod("old", ready="2026-01-01T00:00:00Z")], "old"),
        ([pod("a", restarts=3), pod("b", restarts=0)], "b"),
        ([pod("young", made="2026-03-01T00:00:00Z"), pod("grown", made="2026-01-01T00:00:00Z")], "grown"),
        ([pod("b"), pod("a")], "a"),
        ([pod("unready", ready=""), pod("ready")], "ready"),
        ([pod("leaving", deletionTimestamp="2026-01-01T00:00:00Z"), pod("staying", restarts=9)], "staying"),
        ([pod("unready", ready=""), pod("leaving", deletionTimestamp="2026-01-01T00:00:00Z")], "unready"),
        ([pod("unready", ready="", restarts=9), pod("calm", ready="", restarts=1)], "calm"),
        ([pod("leaving", deletionTimestamp="2026-01-01T00:00:00Z")], "leaving"),
        ([in_phase("waiting", "Pending"), in_phase("done", "Succeeded")], None),
        (
            [crashing("crashing"), pod("leaving", ready="", deletionTimestamp="2026-01-01T00:00:00Z")],
            "leaving",
        ),
        ([crashing("crashing")], None),
        ([], None),
    ],
)
def test_the_pod_that_is_taken(found, name):
    best = pods.best(found)

    assert (best["metadata"]["name"] if best else None) == name


def test_a_phase_is_what_kubectl_shows():
    waiting, done = pod(), pod()
    waiting["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ImagePullBackOff"}}
    done["status"] = {"phase": "Succeeded"}

    assert pods.phase(waiting) == "ImagePullBackOff"
    assert pods.phase(done) == "Succeeded"
    assert pods.phase(pod(deletionTimestamp="x")) == "Terminating"
    assert pods.phase({}) == "Unknown"


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
DEAD = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}


def living(state=RUNNING, *, identity="a", restarts=0, last=None, uid="u", **meta):
    found = pod("p", uid=uid, **meta)
    row = {"name": "main", "containerID": identity, "restartCount": restarts, "state": state}
    found["status"]["containerStatuses"] = [{**row, "lastState": last or {}}]
    return found


@pytest.mark.parametrize(
    ("now", "code", "message", "gone"),
    [
        (living(), None, "", False),
        (living(restarts=0, ready=""), None, "", False),
        (None, "pod_deleted", "pod ns/p was deleted", True),
        (living(uid="other"), "pod_deleted", "pod ns/p was deleted", True),
        (living(deletionTimestamp="x"), None, "", False),
        (living(DEAD, deletionTimestamp="x"), "pod_deleted", "pod ns/p was deleted", False),
        (living(DEAD), "container_restarted", "container main of pod ns/p has ended (OOMKilled, exit code 137)", False),
        (
            living(identity="b", restarts=1, last={"terminated": {"exitCode": 0}}),
            "container_restarted", "container main of pod ns/p was restarted (exit code 0)", False,
        ),
        (
            living({"waiting": {"reason": "CrashLoopBackOff"}}, last=DEAD),
            "container_restarted", "container main of pod ns/p has ended (OOMKilled, exit code 137)", False,
        ),
    ],
)  # fmt: skip
def test_how_a_run_of_a_container_ends(now, code, message, gone):
    outcome, whole = pods.end_of(now, "u", None, pods.life(living(), None), "ns/p")

    assert whole == gone
    assert (outcome.code if outcome else None) == code
    if outcome:
        assert outcome.message == message
        assert outcome.exit_code is None


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (living(), None),
        (living({"waiting": {"reason": "ContainerCreating"}}), None),
        (living(DEAD), "container_restarted"),
        (living({}, identity=""), None),
        (pod("p", uid="u"), None),
    ],
)
def test_of_a_run_that_nobody_knew_only_its_end_shows(now, code):
    outcome, _ = pods.end_of(now, None, None, None, "ns/p")

    assert (outcome.code if outcome else None) == code


def test_an_init_container_has_a_life_too():
    found = with_inits("one")
    found["status"]["initContainerStatuses"] = [
        {"name": "prep", "containerID": "i", "restartCount": 2, "state": RUNNING}
    ]

    assert pods.life(found, "prep") == pods.Life("None", "i", 2)
    assert pods.life(found, "one") is None
