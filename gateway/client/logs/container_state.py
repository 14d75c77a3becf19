"""Reads from a pod how one of its containers is, as far as its log is concerned."""

from dataclasses import dataclass

from gateway.backends.kube.pod import Object, uid

_KINDS = (
    ("containers", "containerStatuses"),
    ("initContainers", "initContainerStatuses"),
    ("ephemeralContainers", "ephemeralContainerStatuses"),
)
_FINAL = ("Succeeded", "Failed")


@dataclass(frozen=True)
class ContainerState:
    """Holds the state of a container. `restarts`: how often it was started again. `runs`: it runs now, or has run and has a
    log. `over`: it has ended and is not started again. `why`: the reason for which it does not run.
    """

    restarts: int
    runs: bool
    over: bool
    why: str


def container_state(pod: Object | None, born: str, container: str) -> ContainerState:
    """Returns the state of a container of the pod whose uid is `born`. `pod`: as it is now; None where it is gone."""
    if pod is None or uid(pod) != born:
        return ContainerState(0, runs=False, over=True, why="the pod was deleted")
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    kind, row = _row(pod, container)
    state = row.get("state") or {}
    ended = state.get("terminated")
    restarts = int(row.get("restartCount") or 0)
    final = status.get("phase") in _FINAL or bool((pod.get("metadata") or {}).get("deletionTimestamp"))
    policy = spec.get("restartPolicy", "Always")
    once = (
        kind != "containers"
        or policy == "Never"
        or (policy == "OnFailure" and not (ended or {}).get("exitCode"))
    )
    over = bool(ended and (final or once)) or (status.get("phase") in _FINAL and "running" not in state)
    waits = state.get("waiting") or {}
    why = (
        _ended(ended)
        if ended
        else str(waits.get("reason") or status.get("reason") or status.get("phase") or "")
    )
    ran = (row.get("lastState") or {}).get("terminated")
    return ContainerState(restarts, runs=bool("running" in state or ended or ran), over=over, why=why)


def _row(pod: Object, container: str) -> tuple[str, Object]:
    status = pod.get("status") or {}
    for kind, statuses in _KINDS:
        for row in status.get(statuses) or []:
            if row.get("name") == container:
                return kind, row
    return "containers", {}


def _ended(state: Object) -> str:
    words = [str(state["reason"])] if state.get("reason") else []
    words += [f"exit code {state['exitCode']}"] if state.get("exitCode") is not None else []
    return ", ".join(words)
