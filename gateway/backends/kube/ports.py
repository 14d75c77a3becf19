"""Finds the port of a pod that a name, a number or a service's port stands for, by kubectl's own rules
(kubectl pkg/cmd/portforward, pkg/util/service_port.go).
"""

from collections.abc import Iterable
from typing import Any

from gateway.backends.kube.pod import Object
from gateway.errors import Refused

_LARGEST = 65535


def pod_port(pod: Object, port: str) -> int:
    """Returns the port that `port`, a number or the name of a container's port, is in the pod. A number need not be
    declared. Raises Refused for a name that no container has, a number out of range, and a port that is UDP alone.
    """
    name, declared = _name(pod), list(_declared(pod))
    if port.isdecimal():
        number = _in_range(port)
        protocols = {row.get("protocol", "TCP") for row in declared if row.get("containerPort") == number}
    else:
        found = [row for row in declared if row.get("name") == port]
        if not found:
            raise Refused("port_not_found", f"pod {name} has no port called {port!a}: {_names(declared)}")
        number, protocols = int(found[0]["containerPort"]), {row.get("protocol", "TCP") for row in found}
    if protocols == {"UDP"}:
        raise Refused("port_not_found", f"port {port} of pod {name} is UDP, which cannot be forwarded")
    return number


def service_port(service: Object, pod: Object, port: str) -> int:
    """Returns the port of the pod to which the service leads its `port`, a number or a name. A headless service leads
    nowhere: its number is the pod's. Raises Refused for a port that the service has not, and for UDP.
    """
    spec, name = service.get("spec") or {}, _name(service)
    rows = spec.get("ports") or []
    found = [row for row in rows if port in (str(row.get("port")), row.get("name"))]
    if not found:
        known = ", ".join(_said(row) for row in rows) or "none"
        raise Refused("port_not_found", f"service {name} has no port {port}: it has {known}")
    tcp = [row for row in found if row.get("protocol", "TCP") == "TCP"]
    if not tcp:
        raise Refused(
            "port_not_found",
            f"port {port} of service {name} is {found[0]['protocol']}, which cannot be forwarded",
        )
    (row, *_) = tcp
    if spec.get("clusterIP") == "None":
        return pod_port(pod, str(row["port"]))
    return pod_port(pod, str(row.get("targetPort") or row["port"]))


def _declared(pod: Object) -> Iterable[dict[str, Any]]:
    for container in (pod.get("spec") or {}).get("containers") or []:
        yield from container.get("ports") or []


def _in_range(port: str) -> int:
    number = int(port[:6])
    if not 0 < number <= _LARGEST:
        raise Refused("port_not_found", f"{port} is no port: use 1 to {_LARGEST}, or a port's name")
    return number


def _name(found: Object) -> str:
    return str((found.get("metadata") or {}).get("name"))


def _names(rows: list[dict[str, Any]]) -> str:
    named = [f"{row['name']} ({row.get('containerPort')})" for row in rows if row.get("name")]
    return f"it has {', '.join(named)}" if named else "its ports have no names"


def _said(row: Object) -> str:
    return f"{row.get('port')}" + (f" ({row['name']})" if row.get("name") else "")
