"""Decides in whose name a cluster is asked."""

from collections.abc import Iterable

from gateway.access.identity import Identity, owner
from gateway.protocol.actor import Actor


class Impersonation:
    """Holds the `clusters` that are asked in each person's own name, so that their own policy decides and their audit log names
    the person. The gateway's own user asks as the runner's account everywhere, from a browser and with kubectl too.
    """

    def __init__(self, clusters: Iterable[str] = ()) -> None:
        self.clusters = frozenset(clusters)

    def actor(self, identity: Identity, cluster: str) -> Actor | None:
        """Returns as whom the cluster is asked for somebody; None for the runner's account."""
        if cluster not in self.clusters or identity.name == owner():
            return None
        return Actor(identity.name, identity.groups)
