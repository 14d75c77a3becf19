"""Makes the Table of an object or a list, which kubectl asks for and prints: the API server chooses its columns."""

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]

# by kind: the columns between NAME and AGE
_COLUMNS = {
    "Pod": ("Ready", "Status", "Restarts"),
    "Namespace": ("Status",),
    "Deployment": ("Ready", "Up-to-date", "Available"),
    "StatefulSet": ("Ready",),
    "Service": ("Type", "Cluster-IP", "External-IP", "Port(s)"),
}
# those behind AGE, which kubectl shows with -o wide alone
_WIDE = {"Pod": ("IP", "Node")}
_DAY = 24 * 60 * 60


def wanted(accept: str) -> bool:
    """True if a client with this Accept header wants a Table."""
    return "as=Table" in accept


def table(value: "Object") -> "Object":
    """Returns the Table of an object or of a list; another answer as it is."""
    kind = value.get("kind", "").removesuffix("List")
    if kind not in _COLUMNS:
        return value
    names = ("Name", *_COLUMNS[kind], "Age", *_WIDE.get(kind, ()))
    columns = [
        {
            "name": name,
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": name,
            "priority": int(name in _WIDE.get(kind, ())),
        }
        for name in names
    ]
    items = value.get("items", [value])
    version = {"resourceVersion": value["metadata"].get("resourceVersion", "1")}
    head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": version}
    return {**head, "columnDefinitions": columns, "rows": [_row(kind, item) for item in items]}


def _row(kind: str, item: "Object") -> "Object":
    metadata = item["metadata"]
    cells = [metadata["name"], *_cells(kind, item), _age(metadata["creationTimestamp"])]
    cells += ["127.0.0.1", item["spec"]["nodeName"]] if kind == "Pod" else []
    head = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return {"cells": cells, "object": head}


def _cells(kind: str, item: "Object") -> "list[str]":
    status = item["status"]
    if kind == "Pod":
        count = len(status["containerStatuses"])
        return [f"{count}/{count}", status["phase"], "0"]
    if kind == "Namespace":
        return [status["phase"]]
    if kind == "Service":
        return ["ClusterIP", "None", "<none>", "<none>"]
    ready = str(status["readyReplicas"])
    return [f"{ready}/{ready}", ready, ready][: len(_COLUMNS[kind])]


def _age(created: str) -> str:
    import time  # noqa: PLC0415 - of all that import this only a table needs it

    began = time.mktime(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    return f"{max(0, int((time.time() - began) // _DAY))}d"
