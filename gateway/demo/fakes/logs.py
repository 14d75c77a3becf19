"""Says what `kubectl logs` prints of a container that has no process of its own."""

from .cluster import RefusedError, pod_named

_CREATED = "2026-01-01T00:00:00.00000000{number}Z"
_LINES = (
    "this is the demo of dap: container {container} of pod {namespace}/{name} runs no process of its own",
    "kubectl exec starts its command on the machine of the demo, as the user who started it",
    "nothing more will be written here",
)


def log(namespace: str, name: str, query: "dict[str, str]") -> str:
    """Returns the container's log, as far as the query wants it. Raises RefusedError."""
    pod = pod_named(namespace, name)
    container = query.get("container") or pod.containers[0]
    if not query.get("container") and len(pod.containers) > 1:
        choice = " ".join(pod.containers)
        raise RefusedError(
            f"Error from server (BadRequest): a container name must be specified for pod {name}, choose one of: [{choice}]"
        )
    if container not in pod.containers:
        raise RefusedError(
            f"Error from server (BadRequest): container {container} is not valid for pod {name}"
        )
    lines = [line.format(container=container, namespace=namespace, name=name) + "\n" for line in _LINES]
    if query.get("timestamps") == "true":
        lines = [f"{_CREATED.format(number=number)} {line}" for number, line in enumerate(lines)]
    tail = query.get("tailLines", "")
    return "".join(lines[max(0, len(lines) - int(tail)) :] if tail.isdigit() else lines)
