"""Runs `kubectl config`, as far as contexts and their namespaces go: in $KUBECONFIG or ~/.kube/config,
written as JSON, which is YAML, too. Without a file there is one context, `demo`, that names no namespace.
"""
# ruff: noqa: PTH103, PTH110, PTH111, PTH120, PTH123 - pathlib is slow to import

import os

from .arguments import Arguments
from .cluster import RefusedError

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any

    Kubeconfig = dict[str, Any]

_NAMESPACE = ("jsonpath={..namespace}", "jsonpath={.contexts[0].context.namespace}")
_CLUSTER = 'jsonpath={.contexts[0].name}{" "}{.clusters[0].cluster.server}'
_FIRST: "Kubeconfig" = {
    "current-context": "demo",
    "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo"}}],
}


def namespace(arguments: Arguments) -> str:
    """Returns where kubectl looks for a pod: --namespace, else what the context names, else `default`."""
    return arguments.value("--namespace") or _chosen(arguments).get("namespace") or "default"


def config(arguments: Arguments) -> str:
    """Runs `kubectl config` and returns what goes to stdout. Raises RefusedError."""
    _, verb, *names = [*arguments.words, ""]
    if verb == "current-context":
        return f"{_read()['current-context']}\n"
    if verb == "view" and arguments.switch("--minify") and arguments.value("--output") in _NAMESPACE:
        return str(_chosen(arguments, strict=True).get("namespace", ""))
    if verb == "view" and arguments.switch("--minify") and arguments.value("--output") == _CLUSTER:
        _chosen(arguments, strict=True)
        return f"{arguments.value('--context') or _read()['current-context']} https://demo.invalid"
    if verb == "use-context" and names[0]:
        kubeconfig = _read()
        _context(kubeconfig, names[0])
        _write({**kubeconfig, "current-context": names[0]})
        return f'Switched to context "{names[0]}".\n'
    if verb == "set-context" and (names[0] or arguments.switch("--current")):
        kubeconfig = _read()
        name = names[0] or kubeconfig["current-context"]
        rest = [row for row in kubeconfig["contexts"] if row["name"] != name]
        context = {"cluster": "demo", "user": "demo", "namespace": arguments.value("--namespace")}
        _write({**kubeconfig, "contexts": [*rest, {"name": name, "context": context}]})
        return f'Context "{name}" modified.\n'
    raise RefusedError(
        "error: the demo's kubectl knows of config: view, current-context, use-context and set-context"
    )


def _chosen(arguments: Arguments, *, strict: bool = False) -> "dict[str, str]":
    name = arguments.value("--context")
    if not (strict or os.path.exists(_path())):
        return {}
    kubeconfig = _read()
    return _context(kubeconfig, name or kubeconfig["current-context"])


def _context(kubeconfig: "Kubeconfig", name: str) -> "dict[str, str]":
    for row in kubeconfig["contexts"]:
        if row["name"] == name:
            return dict(row["context"])
    raise RefusedError(f'error: context "{name}" does not exist')


def _read() -> "Kubeconfig":
    import json  # noqa: PLC0415 - most sessions need not wait for it

    try:
        with open(_path(), encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return _FIRST


def _write(kubeconfig: "Kubeconfig") -> None:
    import json  # noqa: PLC0415 - as above

    os.makedirs(os.path.dirname(_path()), exist_ok=True)
    with open(_path(), "w", encoding="utf-8") as file:
        json.dump(kubeconfig, file)


def _path() -> str:
    return os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
