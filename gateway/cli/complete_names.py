"""Completes names of a cluster's objects, as the running gateway knows them: for a shell that asks while a person waits."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import click

_SECONDS = 1.0  # for all that a word takes; on the spot it is a tenth of that

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _quietly(names: Callable[[click.Context, str, float], Iterator[str]]) -> Complete:
    """Returns a completion that has no words, and says nothing, where there is no gateway, or it refuses or is slow."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        from gateway.client.exit_status import GatewayFailed
        from gateway.errors import ConfigError

        found: list[str] = []
        with suppress(GatewayFailed, ConfigError, OSError, KeyError, TypeError, AttributeError):
            # one by one: what came before a failure is right
            found.extend(
                name
                for name in names(context, incomplete, time.monotonic() + _SECONDS)
                if name.startswith(incomplete)
            )
        return found

    return complete


def _names(context: click.Context, kind: str, end: float, *, everywhere: bool = False) -> Iterator[str]:
    """Yields the names of a kind's objects, in the namespace that the words before name."""
    from urllib.parse import quote

    from gateway.backends.kube import workloads
    from gateway.client import tables

    endpoint, cluster = _gateway(), _given(context, "cluster") or "default"
    namespace = "" if everywhere else quote(_namespace(context, endpoint, cluster, end), safe="")
    path = workloads.collection(namespace, kind)
    for page in tables.pages(endpoint, cluster, path, seconds=end - time.monotonic()):
        yield from (row.name for row in page.rows)


def _pods(context: click.Context, incomplete: str, end: float) -> Iterator[str]:
    kind, slash, _ = incomplete.partition("/")
    for name in _names(context, kind if slash else "pods", end):
        yield f"{kind}/{name}" if slash else name


def _namespaces(context: click.Context, _: str, end: float) -> Iterator[str]:
    yield from _names(context, "namespaces", end, everywhere=True)


def _containers(context: click.Context, _: str, end: float) -> Iterator[str]:
    from urllib.parse import quote

    from gateway.client import http

    endpoint, cluster = _gateway(), _given(context, "cluster") or "default"
    # behind an option that has no value yet click has not told the arguments apart
    pod = _given(context, "pod") or next(iter(context.args), "")
    if not pod or "/" in pod:
        return  # which pod of a workload it will be is not known yet
    namespace = _namespace(context, endpoint, cluster, end)
    path = "/".join(
        quote(word, safe="") for word in (cluster, "api", "v1", "namespaces", namespace, "pods", pod)
    )
    body = http.answered(endpoint, "GET", f"/clusters/{path}", 200)
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        yield from (one["name"] for one in body["spec"].get(kind) or ())


def _namespace(context: click.Context, endpoint: Any, cluster: str, end: float) -> str:
    from urllib.parse import quote

    from gateway.client import http

    if given := _given(context, "namespace"):
        return given
    path = f"/gateway/v1/clusters/{quote(cluster, safe='')}/namespace"
    _, body = http.request(endpoint, "GET", path, timeout=end - time.monotonic())
    return str(body["namespace"])


def _gateway() -> Any:
    from gateway.client.endpoint import needed
    from gateway.settings.loader import load

    return needed(load())


def _given(context: click.Context, name: str) -> str:
    found = context.params.get(name)
    return found if isinstance(found, str) else ""


pods, namespaces, containers = _quietly(_pods), _quietly(_namespaces), _quietly(_containers)
