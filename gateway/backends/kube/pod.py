"""What the objects of a cluster say about where a command can run. Kubernetes' own rules, in its own words."""

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
    """All names, in the order in which the API server says them."""
    spec = pod.get("spec") or {}
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [str(one.get("name")) for kind in kinds for one in spec.get(kind) or []]


def default_container(pod: Object) -> str | None:
    """The one that kubectl takes where none is named: the annotation's, else the first."""
    named = ((pod.get("metadata") or {}).get("annotations") or {}).get(_DEFAULT)
    if named in containers(pod):
        return str(named)
    own = (pod.get("spec") or {}).get("containers") or []
    return str(own[0].get("name")) if own else None


def refusal(pod: Object, name: str, container: str | None) -> Outcome | None:
    """Why the API server would not connect anybody to it (kubernetes pkg/registry/core/pod/strategy.go)."""
    spec = pod.get("spec") or {}
    if not container and len(spec.get("containers") or []) != 1:
        choice = f", choose one of: [{' '.join(containers(pod))}]" if spec.get("containers") else ""
        return _refused("container_needed", f"a container name must be specified for pod {name}{choice}")
    if container and container not in containers(pod):
        said, known = f"container {container} is not valid for pod {name}", ", ".join(containers(pod))
        return Outcome("container_not_found", f"{said}; it has {known}", status=failure(400, said))
    if not spec.get("nodeName"):
        return _refused("pod_pending", f"pod {name} does not have a host assigned")
    return None


def selector(workload: Object) -> str | None:
    """The label selector of a workload's or service's pods; None where it has none, which would select all."""
    found = (workload.get("spec") or {}).get("selector") or {}
    labels = found
    parts = []
    if "matchLabels" in found or "matchExpressions" in found:
        labels = found.get("matchLabels") or {}
        for row in found.get("matchExpressions") or []:
            words = _OPERATORS.get(str(row.get("operator")))
            if words is None:
                return None
            parts.append(words.format(key=row.get("key"), values=",".join(row.get("values") or [])))
    return ",".join([*(f"{key}={value}" for key, value in labels.items()), *parts]) or None


def selected(namespace: str, selector: str) -> str:
    """Where the API server has the pods of a selector."""
    return f"/api/v1/namespaces/{namespace}/pods?labelSelector={quote(selector, safe='')}"


def is_ready(pod: Object) -> bool:
    """It serves: the kubelet says Ready, and nobody has deleted it."""
    return _ready_since(pod) is not None and not (pod.get("metadata") or {}).get("deletionTimestamp")


def best(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The ready one that kubectl would take: ready for the longest time, then with the fewest restarts, then the oldest
    (kubectl pkg/util/podutils ActivePods). None where none is ready.
    """
    return min((pod for pod in pods if is_ready(pod)), key=_rank, default=None)


def phase(pod: Object) -> str:
    """What `kubectl get pods` shows of one that is not ready, in a word or two."""
    status = pod.get("status") or {}
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return "Terminating"
    for one in status.get("containerStatuses") or []:
        state = one.get("state") or {}
        for kind in ("waiting", "terminated"):
            if reason := (state.get(kind) or {}).get("reason"):
                return str(reason)
    return str(status.get("phase") or "Unknown")


@dataclass(frozen=True)
class Life:
    """One run of a container."""

    pod: str  # the pod's uid
    container: str  # its id in the runtime
    restarts: int


def life(pod: Object, container: str | None) -> Life | None:
    """The run that goes on now; None where none does, or nobody knows."""
    found = _status_of(pod, container)
    if found is None or not (found.get("state") or {}).get("running") or not found.get("containerID"):
        return None
    return Life(uid(pod), str(found["containerID"]), int(found.get("restartCount") or 0))


def uid(pod: Object) -> str:
    """What tells it from another of the same name."""
    return str((pod.get("metadata") or {}).get("uid"))


def end_of(
    pod: Object | None, born: str | None, container: str | None, lived: Life | None, name: str
) -> tuple[Outcome | None, bool]:
    """(how a run of the container has ended, whether the pod is gone altogether). `pod`: as it is now, None where there
    is none of that name; `born`: the uid it had, `lived`: the run that was known, where they are; `name`: for people.
    """
    if pod is None or born not in (None, uid(pod)):
        return Outcome("pod_deleted", f"pod {name} was deleted"), True
    now, found = life(pod, container), _status_of(pod, container)
    if found is None or (now == lived if lived else now is not None or not _over(found)):
        return None, False
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return Outcome("pod_deleted", f"pod {name} was deleted"), False
    last = (
        (found.get("state") or {}).get("terminated") or (found.get("lastState") or {}).get("terminated") or {}
    )
    words = [str(last["reason"])] if last.get("reason") else []
    words += [f"exit code {last['exitCode']}"] if last.get("exitCode") is not None else []
    why = f" ({', '.join(words)})" if words else ""
    message = f"container {found.get('name')} of pod {name} {'was restarted' if now else 'has ended'}{why}"
    return Outcome("container_restarted", message), False


def _over(status: Object) -> bool:
    """It does not run any more, which is not: nobody has looked yet."""
    state = status.get("state") or {}
    return bool(
        state.get("terminated")
        or (state.get("waiting") and (status.get("lastState") or {}).get("terminated"))
    )


def _status_of(pod: Object, container: str | None) -> dict[str, Any] | None:
    name, status = container or default_container(pod), pod.get("status") or {}
    kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    return next((one for kind in kinds for one in status.get(kind) or [] if one.get("name") == name), None)


def _refused(code: str, message: str) -> Outcome:
    return Outcome(code, message, status=failure(400, message))


def _ready_since(pod: Object) -> str | None:
    for row in (pod.get("status") or {}).get("conditions") or []:
        if row.get("type") == "Ready" and row.get("status") == "True":
            return str(row.get("lastTransitionTime") or "")
    return None


def _rank(pod: Object) -> tuple[str, int, str, str]:
    meta, status = pod.get("metadata") or {}, pod.get("status") or {}
    restarts = max(
        (int(one.get("restartCount") or 0) for one in status.get("containerStatuses") or []), default=0
    )
    return _ready_since(pod) or "", restarts, str(meta.get("creationTimestamp")), str(meta.get("name"))
