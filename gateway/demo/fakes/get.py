"""Answers `kubectl get`, as far as a demo needs it."""

import json

from . import objects
from .api import answer
from .arguments import Arguments
from .cluster import NAMESPACES, Pod, RefusedError, find_pod, kind_of, pods_in
from .config import namespace as in_namespace


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
        return _json(_found(pods, named=bool(names))) + "\n"
    if output == "name":
        return "".join(f"pod/{pod.name}\n" for pod in pods)
    return _pods_table(pods, everywhere=everywhere)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _found(pods: list[Pod], *, named: bool) -> dict[str, object]:
    items = [objects.pod(pod) for pod in pods]
    return items[0] if named else objects.list_of("Pod", "v1", items)


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
