"""Knows where the API has pods, namespaces, and what leads to pods, by the words that kubectl takes for their kinds."""

_PATHS = {
    "deployments": "/apis/apps/v1", "statefulsets": "/apis/apps/v1", "replicasets": "/apis/apps/v1",
    "daemonsets": "/apis/apps/v1", "jobs": "/apis/batch/v1", "services": "/api/v1", "replicationcontrollers": "/api/v1",
    "pods": "/api/v1", "namespaces": "/api/v1",
}  # fmt: skip
_SHORT = {
    "deploy": "deployments", "sts": "statefulsets", "rs": "replicasets", "ds": "daemonsets", "svc": "services",
    "rc": "replicationcontrollers", "po": "pods",
}  # fmt: skip


def plural(kind: str) -> str:
    """Returns a kind's name in paths, for a kind as `target.kind_of` writes it."""
    return _SHORT.get(kind) or (kind if kind.endswith("s") else f"{kind}s")


def path(namespace: str, kind: str, name: str) -> str:
    """Returns the API server's path of a workload or service."""
    return f"{_PATHS[plural(kind)]}/namespaces/{namespace}/{plural(kind)}/{name}"


def collection(namespace: str, kind: str) -> str:
    """Returns the API server's path of the list of a kind: in one namespace, or in all where it is empty. Raises KeyError for
    a kind that is none of these.
    """
    return f"{_PATHS[plural(kind)]}{f'/namespaces/{namespace}' if namespace else ''}/{plural(kind)}"
