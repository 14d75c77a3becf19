"""A request's pod, looked up in the cluster: which one it is, and whether the API server would refuse to connect to it.

What decides what is started is asked before; all else beside the start, so that nobody waits for it. Where the cluster
cannot be asked the session goes on, and kubectl says how it is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from gateway.backends.contract import ClusterApi
from gateway.backends.kube import pod as pods
from gateway.backends.kube import ports, workloads
from gateway.errors import HopFailed, Refused
from gateway.protocol.outcome import Outcome
from gateway.protocol.status import failure
from gateway.protocol.subprotocols import Subprotocol
from gateway.protocol.target import Target
from gateway.sessions.session import Session

RESOLVE = 5.0  # seconds for what decides what is started, or what is told of a command that has ended
VERIFY = 1.0  # seconds that the upgrade waits for what does not
_SURE = (
    400,
    403,
    404,
)  # answers that are the client's too; others are about the runner's account, or pass by
_SHOWN = 5  # pods that are not ready, by name
T = TypeVar("T")
Known = Callable[[Target], dict[str, Any] | None]
"""Returns a pod that need not be read again, for a session has it watched."""


@dataclass(frozen=True)
class ResolvedPod:
    """Holds the target of a request. `seen`: its pod was looked up and is well."""

    target: Target
    seen: bool = False
    note: str = ""  # what the client should know of the pod


def nothing_known(_: Target) -> None:
    """Returns None for each pod."""


async def resolve(
    api: ClusterApi, target: Target, row: Subprotocol, *, exact: bool = False, known: Known = nothing_known
) -> ResolvedPod:
    """Returns the pod of a workload, and its container. For a Kubernetes client that names no container it also checks
    that the pod has but one: kubectl would run the command in a default one. For a client of our own the default one is
    found where the pod is read anyway, or where it has to be known (`exact`), which costs a read. Raises Refused.
    """
    kind, name = _parts(target)
    target = target if kind else replace(target, pod=name)
    note = ""
    if kind:
        found = await _asked(_pod_of(api, target.namespace, kind, name), RESOLVE)
        pod = found[0] if isinstance(found, tuple) else found
        note = _note(f"{kind}/{name}", pod)
    elif not target.container and (exact or not row.control):
        pod = known(target) or await _asked(api.get(pod_path(target)), RESOLVE)
    else:
        pod = None
    return ResolvedPod(_settled(pod, target, row), pod is not None, note)


async def verify(api: ClusterApi, session: Session, row: Subprotocol, known: Known, *, seen: bool) -> None:
    """Checks, while the session starts, that the runner's account may connect and, unless the pod was `seen`, that the pod
    is as the request has it; makes `session.target` exact. Raises Refused.

    Without a relay an answer costs as much as the start itself, whose kubectl says the same: that is waited for.
    """
    target = session.target
    may: bool | Refused | None = False
    if api.watches and "/" not in target.pod:  # else the cluster could not be asked whose pods these are
        looked = _look(api, target, known, VERIFY, seen=seen)
        pod, may = await asyncio.gather(looked, _ask(api, session, row))
        if may is not False:
            session.target = _settled(pod, target, row)
    if row.control:
        return
    outcome = await _first_word(session) if may is False else session.outcome  # kubectl may have been faster
    if outcome and outcome.code == "pod_completed":  # kubectl says so before it looks for the container
        _settled(await _look(api, target, known, RESOLVE, seen=seen), target, row)
    elif outcome and outcome.status and outcome.status.code in _SURE:
        raise Refused(outcome.code, outcome.message, outcome.status)


async def _look(
    api: ClusterApi, target: Target, known: Known, seconds: float, *, seen: bool
) -> dict[str, Any] | Refused | None:
    return None if seen else known(target) or await _asked(api.get(pod_path(target)), seconds)


async def _ask(api: ClusterApi, session: Session, row: Subprotocol) -> bool | Refused | None:
    if row.control:
        return None
    where = session.target
    return await _asked(api.may("create", f"pods/{session.command.verb}", where.namespace, where.pod), VERIFY)


def pod_path(target: Target) -> str:
    """Returns the pod's path at the API server. Its names were checked."""
    return f"/api/v1/namespaces/{target.namespace}/pods/{target.pod}"


async def _asked(answer: Awaitable[T], seconds: float) -> T | Refused | None:
    """Returns the answer, or the Refused of an answer about the request; None without an answer in time."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        return None
    except Refused as error:
        return error
    except HopFailed as error:
        if error.status is None or error.status.code not in _SURE:
            return None
        return Refused(error.code, error.message, error.status)


def _parts(target: Target) -> tuple[str, str]:
    """Returns the kind of what leads to the pod, empty for the pod itself, and its name."""
    kind, _, name = target.pod.rpartition("/")
    return ("", name) if kind in ("", "po", "pod", "pods") else (kind, name)


async def forwarded(api: ClusterApi, target: Target, port: str) -> tuple[dict[str, Any], int, str]:
    """Returns the pod of a target, the port of the pod that `port` is, and what a client should know of the pod. Raises
    Refused, also for a pod that does not run, and HopFailed.
    """
    kind, name = _parts(target)
    async with asyncio.timeout(RESOLVE):
        if not kind:
            pod = await api.get(pod_path(replace(target, pod=name)))
            _check_running(pod, name)
            return pod, ports.pod_port(pod, port), ""
        pod, workload = await _pod_of(api, target.namespace, kind, name)
        note = _note(f"{kind}/{name}", pod)
        if workloads.plural(kind) == "services":
            return pod, ports.service_port(workload, pod, port), note
        return pod, ports.pod_port(pod, port), note


def _check_running(pod: dict[str, Any], name: str) -> None:
    phase = (pod.get("status") or {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        message = f"pod {name} has finished: its phase is {phase}"
        raise Refused("pod_completed", message, failure(400, message))
    if phase != "Running":
        raise Refused("no_ready_pod", f"pod {name} does not run yet: its phase is {phase}")


async def _pod_of(
    api: ClusterApi, namespace: str, kind: str, name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the pod to which a workload or service leads, and that workload. Raises Refused, HopFailed."""
    workload = await api.get(workloads.path(namespace, kind, name))
    selector = pods.selector(workload)
    if selector is None:
        raise Refused("no_ready_pod", f"{workloads.plural(kind)} {name!r} selects no pods")
    path = pods.selected(namespace, selector)
    found = await api.list(path)
    if best := pods.best(found):
        return best, workload
    states = ", ".join(f"{one['metadata']['name']} is {pods.phase(one)}" for one in found[:_SHOWN])
    raise Refused("no_ready_pod", f"{kind}/{name} has no ready pod: {states or 'it has none at all'}")


def _note(workload: str, pod: dict[str, Any] | Refused | None) -> str:
    """Returns what a client should know of a workload's pod that is not ready; empty for a ready pod, or none."""
    if pod is None or isinstance(pod, Refused) or pods.is_ready(pod):
        return ""
    leaving = (pod.get("metadata") or {}).get("deletionTimestamp")
    how = "is being deleted" if leaving else "runs, and is not ready"
    return f"{workload} has no ready pod; this is {pod['metadata']['name']}, which {how}"


def _settled(pod: dict[str, Any] | Refused | None, target: Target, row: Subprotocol) -> Target:
    """Returns the target with the pod and container as far as they are known. Raises Refused in the API server's
    words.
    """
    if pod is None:
        return target
    if isinstance(pod, Refused):
        raise pod
    name = str(pod["metadata"]["name"])
    container = target.container or (pods.default_container(pod) if row.control else None)
    if outcome := pods.refusal(pod, name, container):
        raise Refused(outcome.code, outcome.message, outcome.status)
    return replace(target, pod=name, container=container or pods.default_container(pod))


async def _first_word(session: Session) -> Outcome | None:
    """Returns how the session has ended, if it ends within VERIFY seconds; None as soon as its first output shows
    that kubectl was let in.
    """
    with suppress(TimeoutError), session.watching() as changed:
        async with asyncio.timeout(VERIFY):
            while session.outcome is None and session.times.first_byte is None:
                changed.clear()
                await changed.wait()
    return session.outcome
