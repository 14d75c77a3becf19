"""Says which kinds of objects the invented cluster has: what kubectl asks before all else."""

_READ = ["get", "list", "watch"]
# by path: (name, kind, short name, is in a namespace, verbs)
_RESOURCES = {
    ("api", "v1"): (
        ("namespaces", "Namespace", "ns", False, _READ),
        ("pods", "Pod", "po", True, _READ),
        ("services", "Service", "svc", True, _READ),
    ),
    ("apis", "apps", "v1"): (
        ("deployments", "Deployment", "deploy", True, _READ),
        ("statefulsets", "StatefulSet", "sts", True, _READ),
    ),
}
_APPS = {"groupVersion": "apps/v1", "version": "v1"}
_ROOTS: "dict[tuple[str, ...], dict[str, object]]" = {
    ("api",): {"kind": "APIVersions", "versions": ["v1"]},
    ("apis",): {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "apps", "versions": [_APPS], "preferredVersion": _APPS}],
    },
}


def discovery(parts: "tuple[str, ...]") -> "dict[str, object] | None":
    """Returns the answer to a path of discovery; None for another path."""
    if parts in _ROOTS:
        return _ROOTS[parts]
    if parts not in _RESOURCES:
        return None
    resources = [
        {"name": name, "singularName": kind.lower(), "namespaced": inside, "kind": kind, "verbs": verbs}
        | {"shortNames": [short]}
        for name, kind, short, inside, verbs in _RESOURCES[parts]
    ]
    version = "/".join(parts[1:])
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}


def kind_of(plural: str) -> "dict[str, object]":
    """Returns kind and apiVersion of an object, by the plural name of its kind."""
    for parts, rows in _RESOURCES.items():
        for name, kind, *_ in rows:
            if name == plural:
                return {"kind": kind, "apiVersion": "/".join(parts[1:])}
    raise KeyError(plural)
