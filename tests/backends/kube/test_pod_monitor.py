"""What a 137 was in truth, and what ends when a pod does, on a clock of its own."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs
from support.virtual_time import now, run

from gateway.backends.contract import Event
from gateway.backends.kube.pod_monitor import PATIENCE, RECENT, SHORT, KubePodMonitor, Pods
from gateway.errors import HopFailed
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.status import failure
from gateway.protocol.target import Target

TARGET = Target("default", "ns", "p", "main")
KILLED = ended(137)


def pod(identity="a", restarts=0, *, uid="u", state=None, **meta):
    row = {
        "name": "main",
        "containerID": identity,
        "restartCount": restarts,
        "state": state or {"running": {"x": 1}},
    }
    spec = {"containers": [{"name": "main"}]}
    return {
        "metadata": {"name": "p", "uid": uid, **meta},
        "spec": spec,
        "status": {"containerStatuses": [row]},
    }


class Api:
    """A cluster with one pod. `becomes` changes it, and tells the watches."""

    def __init__(self, *, watches=True):
        self.watches = watches
        self.pod = pod()
        self.asked = []
        self.queues = []
        self.broken = None

    def becomes(self, found, kind="MODIFIED"):
        self.pod = found
        for queue in self.queues:
            queue.put_nowait(Event(kind, found or {}))

    def deleted(self):
        self.becomes(None, "DELETED")

    async def get(self, path, **_):
        self.asked.append(path)
        if self.broken:
            raise self.broken
        if "fieldSelector" in path:
            return {"metadata": {"resourceVersion": "7"}, "items": [self.pod] if self.pod else []}
        if self.pod is None:
            raise HopFailed("pod_not_found", "not found", failure(404, "not found"))
        return self.pod

    async def watch(self, path, **_):
        self.asked.append(path)
        queue = asyncio.Queue()
        self.queues.append(queue)
        try:
            while event := await queue.get():
                yield event
        finally:
            self.queues.remove(queue)


@asynccontextmanager
async def followed(api, count=1):
    """Sessions in the pod, each a monitor and the task that waits for the pod's loss."""
    watches = Pods(api)
    async with watches.running(), asyncio.TaskGroup() as tasks:
        monitors = [KubePodMonitor(watches, TARGET) for _ in range(count)]
        lost = [tasks.create_task(monitor.wait_lost()) for monitor in monitors]
        await asyncio.sleep(SHORT + 0.1)
        yield monitors, lost
        for task in lost:
            task.cancel()


@pytest.mark.parametrize(
    "outcome", [ended(0), ended(1), ended(143), Outcome("start_failed", "x"), Outcome("ssh_lost", "x")]
)
def test_an_end_that_no_pod_can_cause_is_not_doubted(outcome):
    async def story():
        api = Api()
        async with followed(api) as (monitors, _):
            api.becomes(pod("b", 1))
            assert await monitors[0].diagnose(outcome, may_wait=True) is outcome
        assert now() == pytest.approx(SHORT + 0.1)

    run(story())


@pytest.mark.parametrize("watches", [True, False])
def test_a_command_that_was_killed_alone_keeps_its_code(watches):
    async def story():
        async with followed(Api(watches=watches)) as (monitors, _):
            began = now()
            assert await monitors[0].diagnose(KILLED, may_wait=True) is KILLED
            assert now() - began == pytest.approx(PATIENCE)

    run(story())


@pytest.mark.parametrize("watches", [True, False])
@pytest.mark.parametrize(
    ("after", "code"),
    [
        (lambda api: api.becomes(pod("b", 1)), "container_restarted"),
        (lambda api: api.becomes(pod(state={"terminated": {"exitCode": 1}})), "container_restarted"),
        (lambda api: api.becomes(pod(state={"terminated": {}}, deletionTimestamp="x")), "pod_deleted"),
        (lambda api: api.deleted(), "pod_deleted"),
        (lambda api: api.becomes(pod("c", uid="new")), "pod_deleted"),
    ],
    ids=["restarted", "ended", "deleting", "deleted", "anew"],
)
def test_what_the_kubelet_says_a_little_later_is_waited_for(watches, after, code):
    async def story():
        api = Api(watches=watches)
        async with followed(api) as (monitors, _):
            began = now()
            asyncio.get_running_loop().call_later(1.2, after, api)
            outcome = await monitors[0].diagnose(KILLED, may_wait=True)
            assert now() - began < PATIENCE
        assert (outcome.code, outcome.exit_code) == (code, None)
        assert outcome.as_status().reason == "InternalError"

    run(story())


@pytest.mark.parametrize("watches", [True, False])
@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize(
    ("after", "happens", "code", "took"),
    [
        (0.0, lambda _: None, "exited", PATIENCE),
        (1.3, lambda api: api.becomes(pod("b", 1)), "container_restarted", None),
        (0.0, lambda api: api.deleted(), "pod_deleted", 0),
    ],
    ids=["its own", "restarted", "deleted"],
)
def test_a_0_that_nobody_asked_for_may_be_the_containers_end(watches, patient, after, happens, code, took):
    """Every client waits to hear that, and none for what is known; it is an error to a Kubernetes client, too."""

    async def story():
        api = Api(watches=watches)
        async with followed(api) as (monitors, _):
            asyncio.get_running_loop().call_later(after, happens, api)
            await asyncio.sleep(0.1)
            began = now()
            outcome = await monitors[0].diagnose(ended(0), may_wait=patient, suspicious=True)
            waited = now() - began
        assert outcome.code == code
        assert outcome.exit_code == (0 if code == "exited" else None)
        assert outcome.as_status().success is (code == "exited")
        assert waited < PATIENCE if took is None else waited == pytest.approx(took)

    run(story())


def test_without_a_watch_one_look_is_for_all_and_may_take_its_time():
    """On a busy machine an answer takes longer than the kubelet."""

    async def story():
        api = Api(watches=False)
        quick = api.get

        async def get(path, **more):
            await asyncio.sleep(4)
            return await quick(path, **more)

        api.get = get
        async with followed(api, 20) as (monitors, _), asyncio.TaskGroup() as tasks:
            api.pod = None
            ends = [tasks.create_task(monitor.diagnose(KILLED, may_wait=True)) for monitor in monitors]
        assert {task.result().code for task in ends} == {"pod_deleted"}
        assert len(api.asked) == 1

    run(story())


def test_other_codes_of_a_command_are_its_own_even_then():
    async def story():
        api = Api()
        async with followed(api) as (monitors, _):
            api.becomes(pod("b", 1))
            assert await monitors[0].diagnose(ended(3), may_wait=True, suspicious=True) == ended(3)

    run(story())


def test_kubernetes_clients_get_their_137_at_once():
    """The log and the metrics know better, where it is known."""

    async def story():
        api = Api()
        async with followed(api, 2) as (monitors, _):
            began = now()
            assert await monitors[0].diagnose(KILLED, may_wait=False) is KILLED
            api.becomes(pod("b", 1))
            await asyncio.sleep(0)
            await asyncio.sleep(0.1)
            outcome = await monitors[1].diagnose(KILLED, may_wait=False)
            assert now() - began < 1
        assert outcome.code == "container_restarted"
        assert outcome.as_status() == KILLED.as_status()

    run(story())


def test_an_old_restart_does_not_explain_a_new_137():
    """The status may have been behind when the session began."""

    async def story():
        api = Api()
        async with followed(api) as (monitors, _):
            api.becomes(pod("b", 1))
            await asyncio.sleep(RECENT + 1)
            assert await monitors[0].diagnose(KILLED, may_wait=True) is KILLED

    run(story())


def test_a_connection_that_broke_with_the_pod_is_the_pods_end():
    async def story():
        api = Api()
        async with followed(api) as (monitors, _):
            api.deleted()
            await asyncio.sleep(0.1)
            outcome = await monitors[0].diagnose(Outcome("cluster_lost", "x"), may_wait=True)
        assert outcome.code == "pod_deleted"

    run(story())


def test_a_pod_that_is_deleted_is_lost_and_a_restarted_container_is_not():
    async def story():
        api = Api()
        async with followed(api) as (_, lost):
            api.becomes(pod("b", 1))
            await asyncio.sleep(10)
            assert not lost[0].done()
            api.becomes(pod("b", 1, deletionTimestamp="x"))
            await asyncio.sleep(10)
            assert not lost[0].done()
            api.deleted()
            assert (await lost[0]).code == "pod_deleted"

    run(story())


def test_a_pod_made_anew_is_another():
    async def story():
        api = Api()
        async with followed(api) as (_, lost):
            api.becomes(pod(uid="new"))
            assert (await lost[0]).code == "pod_deleted"

    run(story())


def test_one_watch_for_all_sessions_of_a_pod():
    async def story():
        api = Api()
        async with followed(api, 50) as (_, lost):
            assert len(api.queues) == 1
            assert len(api.asked) == 2
            api.deleted()
            assert {(await one).code for one in lost} == {"pod_deleted"}
            await asyncio.sleep(0.1)
            assert api.queues == []

    run(story())


def test_a_short_session_costs_no_watch():
    async def story():
        api = Api()
        watches = Pods(api)
        async with watches.running():
            with suppress(TimeoutError):
                await asyncio.wait_for(KubePodMonitor(watches, TARGET).wait_lost(), SHORT / 2)
        assert api.asked == []

    run(story())


def test_a_watch_that_ends_is_begun_again_with_what_is_there_then():
    async def story():
        api = Api()
        async with followed(api) as (_, lost):
            api.pod = None
            api.queues[0].put_nowait(None)
            assert (await lost[0]).code == "pod_deleted"
            assert now() < 3

    run(story())


def test_while_a_watch_is_to_begin_again_the_pod_is_looked_at():
    async def story():
        api = Api()
        async with followed(api) as (monitors, _):
            api.queues[0].put_nowait(None)
            api.broken = HopFailed("cluster_unreachable", "no way")
            await asyncio.sleep(1)  # it was tried in vain, and will be later
            api.broken = None
            api.pod = pod("b", 1)
            outcome = await monitors[0].diagnose(ended(0), may_wait=True, suspicious=True)
        assert outcome.code == "container_restarted"

    run(story())


@pytest.mark.parametrize("watches", [True, False])
def test_a_defect_of_a_look_or_a_watch_is_logged_and_ends_nobody(watches):
    async def story():
        api = Api(watches=watches)
        api.broken = LookupError()
        with capture_logs() as logs:
            async with followed(api) as (monitors, lost):
                assert await monitors[0].diagnose(KILLED, may_wait=True) is KILLED
                api.broken = None
                await asyncio.sleep(10)
                api.deleted()
                if watches:
                    assert (await lost[0]).code == "pod_deleted"
        events = ["task_defect", "look_defect"] if watches else ["look_defect"]
        assert {row["event"] for row in logs} == set(events)

    run(story())


def test_a_cluster_that_does_not_answer_is_asked_again():
    async def story():
        api = Api()
        api.broken = HopFailed("cluster_unreachable", "no way")
        async with followed(api) as (monitors, lost):
            assert await monitors[0].diagnose(KILLED, may_wait=True) is KILLED
            api.broken = None
            await asyncio.sleep(10)
            api.deleted()
            assert (await lost[0]).code == "pod_deleted"

    run(story())


@pytest.mark.parametrize("target", [Target("default"), Target("default", "ns", "deploy/api")])
def test_what_has_no_pods_name_is_nobodys(target):
    async def story():
        api = Api()
        watches = Pods(api)
        async with watches.running():
            monitor = KubePodMonitor(watches, target)
            with suppress(TimeoutError):
                await asyncio.wait_for(monitor.wait_lost(), 100)
            assert await monitor.diagnose(KILLED, may_wait=True) is KILLED
        assert api.asked == []

    run(story())


@pytest.mark.parametrize("watches", [True, False])
def test_a_cluster_that_the_context_has_left_says_nothing_of_its_pods(watches):
    """The other one has no such pod, and the session lives on."""

    async def story():
        api = Api(watches=watches)
        async with followed(api) as (monitors, lost):
            monitors[0]._pods.forget()
            api.deleted()
            await asyncio.sleep(60)
            assert not lost[0].done()
            assert await monitors[0].diagnose(KILLED, may_wait=True) is KILLED
            fresh = KubePodMonitor(monitors[0]._pods, TARGET)
            assert (await fresh.diagnose(KILLED, may_wait=True)).code == ("pod_deleted")

    run(story())


def test_a_pod_that_a_session_has_watched_is_known_as_it_is_now():
    async def story():
        api = Api()
        async with followed(api) as (monitors, lost):
            other = KubePodMonitor(monitors[0]._pods, TARGET)
            assert other.known() == pod()
            api.becomes(pod("b", 1))
            await asyncio.sleep(0.1)
            assert other.known() == pod("b", 1)
            assert KubePodMonitor(monitors[0]._pods, Target("default", "ns", "q")).known() is None
            api.deleted()
            await lost[0]
            assert other.known() is None

    run(story())


def test_a_pod_is_not_known_where_its_watch_does_not_follow():
    async def story():
        api = Api(watches=False)
        async with followed(api) as (monitors, _):
            assert monitors[0].known() is None
        api = Api()
        async with followed(api) as (monitors, _):
            api.broken = HopFailed("cluster_unreachable", "gone")
            api.queues[0].put_nowait(None)  # the watch ends
            await asyncio.sleep(1)
            assert monitors[0].known() is None

    run(story())


def test_a_pod_of_the_cluster_before_is_not_known_and_that_of_the_present_one_is_watched_anew():
    async def story():
        api = Api()
        async with followed(api) as (monitors, _):
            pods = monitors[0]._pods
            pods.forget()
            fresh = KubePodMonitor(pods, TARGET)
            assert (monitors[0].known(), fresh.known()) == (None, None)
            async with asyncio.TaskGroup() as tasks:
                lost = tasks.create_task(fresh.wait_lost())
                await asyncio.sleep(SHORT + 0.1)
                assert len(api.queues) == 2
                assert fresh.known() == pod()
                lost.cancel()

    run(story())
