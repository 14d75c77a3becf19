"""Says where a credential of a machine is good, and for which verbs."""

from dataclasses import dataclass
from typing import Any

from gateway.protocol.errors import BadRequest
from gateway.protocol.request_info import RequestInfo
from gateway.protocol.target import Target

# RBAC's, and the subresources that are verbs of their own (see RequestInfo)
VERBS = (
    "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "exec", "attach", "portforward",
    "proxy",
)  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """Holds the clusters, namespaces and verbs of a credential; an empty one stands for all."""

    clusters: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()

    @classmethod
    def parse(cls, clusters: object, namespaces: object, verbs: object) -> "Scope":
        """Returns the scope of three lists of names. Raises BadRequest for anything else, and for an unknown verb."""
        scope = cls(_names(clusters, "clusters"), _names(namespaces, "namespaces"), _names(verbs, "verbs"))
        for verb in scope.verbs:
            if verb not in VERBS:
                raise BadRequest(f"{verb!a} is no verb: use {', '.join(VERBS)}")
        return scope

    def allows(self, verb: str, target: Target | None, info: RequestInfo | None) -> bool:
        """Returns True if `verb` in `target` is within the scope. To see which clusters there are, and which kinds of
        objects a cluster has, takes the cluster alone; a request across all namespaces takes a scope without namespaces.
        A pod whose namespace is not known yet is within: whoever asks so asks again when the namespace is known.
        """
        if target is None or (self.clusters and target.cluster not in self.clusters):
            return False
        of_no_object = not info.resource if info else target == Target(target.cluster)
        if verb == "get" and of_no_object:
            return True
        if self.verbs and verb not in self.verbs:
            return False
        if not self.namespaces or target.namespace in self.namespaces:
            return True
        return info is None and bool(target.pod) and not target.namespace

    def body(self) -> list[list[str]]:
        """Returns the scope as `parse` takes it."""
        return [list(self.clusters), list(self.namespaces), list(self.verbs)]

    def __str__(self) -> str:
        said = [("cluster", self.clusters), ("namespace", self.namespaces), ("verbs", self.verbs)]
        return " ".join(f"{name} {','.join(values)}" for name, values in said if values) or "everything"


def _names(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise BadRequest(f"{what} must be a list of names")
    return tuple(value)
