"""Invents the objects of the cluster, as the API has them."""

from . import discovery
from .cluster import OWNERS, Pod, owner_named, pods_in

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]

CREATED = "2026-01-01T00:00:00Z"
VERSION = "1"  # of every object: nothing changes
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
# by plural: what a missing one is called
WORKLOADS = {"deployments": "deployments.apps", "statefulsets": "statefulsets.apps", "services": "services"}


def namespace(name: str) -> "Object":
    metadata = {"name": name, "creationTimestamp": CREATED, "resourceVersion": VERSION}
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": metadata, "status": {"phase": "Active"}}


def pod(pod: Pod) -> "Object":
    return {"kind": "Pod", "apiVersion": "v1", **_pod_item(pod)}


def workload(plural: str, namespace: str, name: str) -> "Object":
    """Returns a deployment, stateful set or service by the plural of its kind. Raises RefusedError."""
    app = {"app": owner_named(WORKLOADS[plural], name)}
    count = sum(pod.app == name for pod in pods_in(namespace))
    metadata = {
        "name": name,
        "namespace": namespace,
        "creationTimestamp": CREATED,
        "resourceVersion": VERSION,
    }
    return {
        **discovery.kind_of(plural),
        "metadata": metadata,
        "spec": {"selector": app}
        if plural == "services"
        else {"selector": {"matchLabels": app}, "replicas": count},
        "status": {"replicas": count, "readyReplicas": count} if plural != "services" else {},
    }


def workloads(plural: str, namespace: str) -> "list[Object]":
    """Returns all of one kind in a namespace: those that have pods there."""
    owners = sorted({pod.app for pod in pods_in(namespace)} & set(OWNERS[WORKLOADS[plural]]))
    return [workload(plural, namespace, name) for name in owners]


def list_of(kind: str, version: str, items: "list[Object]") -> "Object":
    """Returns the list of objects of one kind."""
    return {
        "kind": f"{kind}List",
        "apiVersion": version,
        "metadata": {"resourceVersion": VERSION},
        "items": items,
    }


def _pod_item(pod: Pod) -> "Object":
    running = {"running": {"startedAt": CREATED}}
    return {
        "metadata": {
            "name": pod.name,
            "uid": f"{pod.namespace}-{pod.name}",
            "namespace": pod.namespace,
            "resourceVersion": VERSION,
            "creationTimestamp": CREATED,
            **_made_by(pod),
            "annotations": {_DEFAULT_CONTAINER: pod.default},
        },
        "spec": {
            "containers": [{"name": name, "image": "demo"} for name in pod.containers],
            "nodeName": "this-machine",
        },
        "status": {
            "phase": "Running",
            "startTime": CREATED,
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


def _made_by(pod: Pod) -> "Object":
    """Returns the labels of a pod, and what made it: a deployment through a replica set, or a stateful set."""
    labels = {"app": pod.app}
    kind, name = "StatefulSet", pod.app
    if pod.app in OWNERS["deployments.apps"]:
        kind, name = "ReplicaSet", pod.name.rpartition("-")[0]
        labels["pod-template-hash"] = name.rpartition("-")[2]
    owner = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": name,
        "uid": f"{pod.namespace}-{name}",
        "controller": True,
    }
    return {"labels": labels, "ownerReferences": [owner]}
