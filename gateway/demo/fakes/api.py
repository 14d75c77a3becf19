"""Answers what the API server of the invented cluster is asked for."""

from . import discovery, objects
from .cluster import NAMESPACES, RefusedError, not_found, pod_named, pods_in

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from .objects import Object

_SERVER = {"major": "1", "minor": "36", "gitVersion": "v1.36.0-demo", "platform": "linux/amd64"}
_PLAIN: "dict[str, str | Object]" = {"readyz": "ok", "healthz": "ok", "livez": "ok", "version": _SERVER}


def answer(path: str) -> "str | Object":
    """Returns what the API answers to a GET: an object, or text. Raises RefusedError."""
    path, _, query = path.partition("?")
    parts = path.strip("/").split("/")
    if found := discovery.discovery(tuple(parts)):
        return found
    match parts:
        case [name] if name in _PLAIN:
            return _PLAIN[name]
        case ["api", "v1", "namespaces", name]:
            if name not in NAMESPACES:
                raise not_found("namespaces", name)
            return objects.namespace(name)
        case ["api", "v1", "namespaces", namespace, "pods", name]:
            return objects.pod(pod_named(namespace, name))
        case [*_, "namespaces", namespace, plural, name] if plural in objects.WORKLOADS:
            return objects.workload(plural, namespace, name)
        case ["api", "v1", *place, plural] | ["apis", "apps", "v1", *place, plural]:
            return _list(place, plural, query)
    raise _unknown()


def parameters(query: str) -> "dict[str, str]":
    """Returns the parameters of a query by name, of each the first."""
    from urllib.parse import parse_qs  # noqa: PLC0415 - few ask for it

    return {name: values[0] for name, values in parse_qs(query).items()}


def _list(place: "list[str]", plural: str, query: str) -> "Object":
    """Returns the list of one kind in the namespace that `place` names, or in all."""
    match place:
        case []:
            namespaces: tuple[str, ...] = NAMESPACES
        case ["namespaces", name]:
            namespaces = (name,)
        case _:
            raise _unknown()
    if plural == "namespaces" and not place:
        return objects.list_of("Namespace", "v1", [objects.namespace(name) for name in NAMESPACES])
    if plural == "events":
        return objects.list_of("Event", "v1", [])
    if plural == "pods":
        items = [objects.pod(pod) for namespace in namespaces for pod in pods_in(namespace)]
    elif plural in objects.WORKLOADS:
        items = [item for namespace in namespaces for item in objects.workloads(plural, namespace)]
    else:
        raise _unknown()
    kind = discovery.kind_of(plural)
    return objects.list_of(str(kind["kind"]), str(kind["apiVersion"]), _selected(items, parameters(query)))


def _selected(items: "list[Object]", query: "dict[str, str]") -> "list[Object]":
    """Returns the items that metadata.name=NAME and app=NAME select, which is all that the demo knows of selectors."""
    name, app = (
        query.get(selector, "").rpartition("=")[2] for selector in ("fieldSelector", "labelSelector")
    )
    return [
        item
        for item in items
        if name in ("", item["metadata"]["name"])
        and app in ("", item["metadata"].get("labels", {}).get("app"))
    ]


def _unknown() -> RefusedError:
    return RefusedError("Error from server (NotFound): the server could not find the requested resource")
