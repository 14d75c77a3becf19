"""Reads pods, workloads and services: where a command can run, and how a container ended, by Kubernetes' own rules
and in Kubernetes' own texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.protocol.outcome import Outcome
from gateway.protocol.status import failure

Object = Mapping[str, Any]
_DEFAULT = "kubectl.kubernetes.io/default-container"
_OPERATORS = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}


def containers(pod: Object) -> list[str]:
    """Returns the names of all containers of a pod, in the order of the API server's own messages."""
    spec = pod.get("spec") or {}
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [str(container.get("name")) for kind in kinds for container in spec.get(kind) or []]


def default_container(pod: Object) -> str | None:
    """Returns the container that kubectl takes where the user names none: the annotation's if the pod has that
    container, else the first; None where the pod has no container.
    """
    named = ((pod.get("metadata") or {}).get("annotations") or {}).get(_DEFAULT)
    if named in containers(pod):
        return str(named)
    own = (pod.get("spec") or {}).get("containers") or []
    return str(own[0].get("name")) if own else None


def refusal(pod: Object, name: str, container: str | None) -> Outcome | None:
    """Returns the error with which the API server would refuse a connection to `container` of the pod `name`; None
    where the API server would connect (kubernetes pkg/registry/core/pod/strategy.go). `container`: None if none is
    named.
    """
    spec = pod.get("spec") or {}
    if not container and len(spec.get("containers") or []) != 1:
        choice = f", choose one of: [{' '.join(containers(pod))}]" if spec.get("containers") else ""
        return _refused("container_needed", f"a container name must be specified for pod {name}{choice}")
    if container and container not in containers(pod):
        message, known = f"container {container} is not valid for pod {name}", ", ".join(containers(pod))
        return Outcome("container_not_found", f"{message}; it has {known}", status=failure(400, message))
    if not spec.get("nodeName"):
        return _refused("pod_pending", f"pod {name} does not have a host assigned")
    return None


def selector(workload: Object) -> str | None:
    """Returns the label selector of the pods of a workload or service; None where the selector is missing or empty,
    which would select all pods, or has an unknown operator.
    """
    spec = (workload.get("spec") or {}).get("selector") or {}
    labels = spec
    parts = []
    if "matchLabels" in spec or "matchExpressions" in spec:
        labels = spec.get("matchLabels") or {}
        for row in spec.get("matchExpressions") or []:
            words = _OPERATORS.get(str(row.get("operator")))
            if words is None:
                return None
            parts.append(words.format(key=row.get("key"), values=",".join(row.get("values") or [])))
    return ",".join([*(f"{key}={value}" for key, value in labels.items()), *parts]) or None


def selected(namespace: str, selector: str) -> str:
    """Returns the API server's path of the list of the pods that a selector selects."""
    return f"/api/v1/namespaces/{namespace}/pods?labelSelector={quote(selector, safe='')}"


def is_ready(pod: Object) -> bool:
    """Returns True if the pod's condition Ready is True and the pod is not being deleted."""
    return _ready_since(pod) is not None and not (pod.get("metadata") or {}).get("deletionTimestamp")


def best(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns the pod that kubectl would take: ready for the longest time, then with the fewest restarts, then the oldest
    (kubectl pkg/util/podutils ActivePods); without a ready pod, one that runs; one that is being deleted only where no
    other runs. None where no pod runs.
    """
    return min((pod for pod in pods if is_ready(pod) or _runs(pod)), key=_rank, default=None)


def phase(pod: Object) -> str:
    """Returns the status that `kubectl get pods` shows for a pod that is not ready, as in "CrashLoopBackOff":
    Terminating, the reason why a container waits or has ended, or the pod's phase.
    """
    status = pod.get("status") or {}
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return "Terminating"
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        for kind in ("waiting", "terminated"):
            if reason := (state.get(kind) or {}).get("reason"):
                return str(reason)
    return str(status.get("phase") or "Unknown")


@dataclass(frozen=True)
class Life:
    """Identifies one run of a container."""

    pod: str  # the pod's uid
    container: str  # the container's id in the runtime
    restarts: int


def life(pod: Object, container: str | None) -> Life | None:
    """Returns the current run of the container, or of the default container if `container` is None; None where the
    pod's status shows no running container.
    """
    status = _status_of(pod, container)
    if status is None or not (status.get("state") or {}).get("running") or not status.get("containerID"):
        return None
    return Life(uid(pod), str(status["containerID"]), int(status.get("restartCount") or 0))


def uid(pod: Object) -> str:
    """Returns the pod's uid, which differs from that of every other pod of the same name."""
    return str((pod.get("metadata") or {}).get("uid"))


def end_of(
    pod: Object | None, born: str | None, container: str | None, lived: Life | None, name: str
) -> tuple[Outcome | None, bool]:
    """Returns how the container's run ended, None if no end is known, and whether the pod itself is gone. `pod`: the
    pod as it is now, None if no pod has that name; `born`: the pod's uid before, if known; `lived`: the container's
    last known run, if any; `name`: the pod's name in the message.
    """
    if pod is None or born not in (None, uid(pod)):
        return Outcome("pod_deleted", f"pod {name} was deleted"), True
    now, status = life(pod, container), _status_of(pod, container)
    if status is None or (now == lived if lived else now is not None or not _over(status)):
        return None, False
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return Outcome("pod_deleted", f"pod {name} was deleted"), False
    last = (
        (status.get("state") or {}).get("terminated")
        or (status.get("lastState") or {}).get("terminated")
        or {}
    )
    words = [str(last["reason"])] if last.get("reason") else []
    words += [f"exit code {last['exitCode']}"] if last.get("exitCode") is not None else []
    why = f" ({', '.join(words)})" if words else ""
    message = f"container {status.get('name')} of pod {name} {'was restarted' if now else 'has ended'}{why}"
    return Outcome("container_restarted", message), False


def _over(status: Object) -> bool:
    """Returns True if the status shows that the container ran and has ended."""
    state = status.get("state") or {}
    return bool(
        state.get("terminated")
        or (state.get("waiting") and (status.get("lastState") or {}).get("terminated"))
    )


def _status_of(pod: Object, container: str | None) -> dict[str, Any] | None:
    name, status = container or default_container(pod), pod.get("status") or {}
    kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    return next((row for kind in kinds for row in status.get(kind) or [] if row.get("name") == name), None)


def _refused(code: str, message: str) -> Outcome:
    return Outcome(code, message, status=failure(400, message))


def _ready_since(pod: Object) -> str | None:
    for row in (pod.get("status") or {}).get("conditions") or []:
        if row.get("type") == "Ready" and row.get("status") == "True":
            return str(row.get("lastTransitionTime") or "")
    return None


def _runs(pod: Object) -> bool:
    """Returns True if the pod runs, and a container of it, as far as the pod's status names containers."""
    status = pod.get("status") or {}
    states = [row.get("state") or {} for row in status.get("containerStatuses") or []]
    return status.get("phase") == "Running" and (not states or any("running" in state for state in states))


def _rank(pod: Object) -> tuple[bool, bool, str, int, str, str]:
    meta, status = pod.get("metadata") or {}, pod.get("status") or {}
    restarts = max(
        (int(row.get("restartCount") or 0) for row in status.get("containerStatuses") or []), default=0
    )
    since = _ready_since(pod)
    going = bool(meta.get("deletionTimestamp"))
    return (
        going,
        since is None,
        since or "",
        restarts,
        str(meta.get("creationTimestamp")),
        str(meta.get("name")),
    )
