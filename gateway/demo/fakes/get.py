"""Answers `kubectl get`, as far as a demo needs it."""

import json

from . import discovery
from .arguments import Arguments
from .cluster import (
    NAMESPACES,
    Pod,
    RefusedError,
    find_pod,
    kind_of,
    not_found,
    owner_named,
    pod_named,
    pods_in,
)
from .config import namespace as in_namespace

_CREATED = "2026-01-01T00:00:00Z"
_VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.0-demo", "platform": "linux/amd64"}
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_PLAIN: "dict[str, object]" = {"readyz": "ok", "healthz": "ok", "livez": "ok", "version": _VERSION}
_WORKLOADS = {"deployments": "deployments.apps", "statefulsets": "statefulsets.apps", "services": "services"}


def get(arguments: Arguments) -> str:
    """Returns what goes to stdout. Raises RefusedError."""
    if raw := arguments.value("--raw"):
        found = answer(raw)
        return found if isinstance(found, str) else _json(found)
    everywhere = arguments.switch("--all-namespaces")
    namespace = None if everywhere else in_namespace(arguments)
    kind, *names = arguments.words[1:] or [""]
    if kind in ("ns", "namespace", "namespaces"):
        return _table([("NAME", "STATUS", "AGE"), *((name, "Active", "1d") for name in NAMESPACES)])
    short, slash, name = kind.partition("/")
    if kind_of(short) != "pods":
        raise RefusedError("error: the demo's kubectl shows pods and namespaces only")
    if slash:
        names = [name]
    pods = [find_pod(namespace or "default", name) for name in names] or pods_in(namespace)
    if not pods:
        raise RefusedError(f"No resources found in {namespace} namespace.")
    output = arguments.value("--output")
    if output == "json":
        return _json(_pod(pods[0]) if names else _pod_list(pods)) + "\n"
    if output == "name":
        return "".join(f"pod/{pod.name}\n" for pod in pods)
    return _pods_table(pods, everywhere=everywhere)


def answer(path: str) -> "object":
    """Returns what the API answers to a GET: an object, or text. Raises RefusedError."""
    path, _, query = path.partition("?")
    parts = path.strip("/").split("/")
    if found := discovery.discovery(tuple(parts)):
        return found
    match parts:
        case [name] if name in _PLAIN:
            return _PLAIN[name]
        case ["api", "v1", "namespaces"]:
            items = [_namespace(name) for name in NAMESPACES]
            return {"kind": "NamespaceList", "apiVersion": "v1", "metadata": {}, "items": items}
        case ["api", "v1", "namespaces", name]:
            if name not in NAMESPACES:
                raise not_found("namespaces", name)
            return {"kind": "Namespace", "apiVersion": "v1", **_namespace(name)}
        case ["api", "v1", "pods"]:
            return _pod_list(pods_in(None))
        case ["api", "v1", "namespaces", namespace, "pods"]:
            return _pod_list(_selected(pods_in(namespace), query))
        case ["api", "v1", "namespaces", namespace, "pods", name]:
            return _pod(pod_named(namespace, name))
        case [*_, "namespaces", namespace, kind, name] if kind in _WORKLOADS:
            app = {"app": owner_named(_WORKLOADS[kind], name)}
            selector = app if kind == "services" else {"matchLabels": app}
            metadata = {"name": name, "namespace": namespace}
            return {**discovery.kind_of(kind), "metadata": metadata, "spec": {"selector": selector}}
    raise RefusedError("Error from server (NotFound): the server could not find the requested resource")


def _selected(pods: list[Pod], query: str) -> list[Pod]:
    from urllib.parse import parse_qs  # noqa: PLC0415 - few ask for it

    wanted = {name: values[0].partition("=")[2] for name, values in parse_qs(query).items()}
    name, app = wanted.get("fieldSelector"), wanted.get("labelSelector")
    return [pod for pod in pods if name in (None, pod.name) and app in (None, pod.app)]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _namespace(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "creationTimestamp": _CREATED}, "status": {"phase": "Active"}}


def _pod(pod: Pod) -> dict[str, object]:
    return {"kind": "Pod", "apiVersion": "v1", **_pod_item(pod)}


def _pod_list(pods: list[Pod]) -> dict[str, object]:
    items = [_pod_item(pod) for pod in pods]
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}


def _pod_item(pod: Pod) -> dict[str, object]:
    running = {"running": {"startedAt": _CREATED}}
    return {
        "metadata": {
            "name": pod.name,
            "uid": f"{pod.namespace}-{pod.name}",
            "namespace": pod.namespace,
            "creationTimestamp": _CREATED,
            "labels": {"app": pod.app},
            "annotations": {_DEFAULT_CONTAINER: pod.default},
        },
        "spec": {
            "containers": [{"name": name, "image": "demo"} for name in pod.containers],
            "nodeName": "this-machine",
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": name,
                    "ready": True,
                    "restartCount": 0,
                    "image": "demo",
                    "containerID": f"demo://{pod.namespace}/{pod.name}/{name}",
                    "state": running,
                }
                for name in pod.containers
            ],
        },
    }


def _pods_table(pods: list[Pod], *, everywhere: bool) -> str:
    rows: list[tuple[str, ...]] = [("NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE")]
    for pod in pods:
        ready = f"{len(pod.containers)}/{len(pod.containers)}"
        rows.append((pod.namespace, pod.name, ready, "Running", "0", "1d"))
    return _table(rows if everywhere else [row[1:] for row in rows])


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)
