"""Describes what a ticket or a page token gives, without its secret: what lists show, and what is kept on disk."""

from dataclasses import dataclass
from typing import Any

from gateway.access.identity import Identity
from gateway.access.peer import Peer
from gateway.protocol.target import Target

_AGENT = 200  # characters of a user agent


@dataclass
class Grant:
    """Says whose a credential is and until when it is good, and from where it was made or used last. `expires`, `used`:
    seconds since the epoch; `used` is None before the first use, and after a restart. `address` and `agent` are
    empty where there were none, as on the Unix socket.
    """

    identity: Identity
    expires: float
    address: str = ""
    agent: str = ""
    used: float | None = None

    @property
    def name(self) -> str:
        """Returns the credential's public name."""
        return self.identity.credential

    def seen(self, peer: Peer) -> None:
        """Records from where the credential comes."""
        self.address, self.agent = peer.address, peer.first("User-Agent")[:_AGENT]

    def body(self) -> dict[str, Any]:
        """Returns what is kept on disk."""
        return {
            "identity": self.identity.name,
            "groups": list(self.identity.groups),
            "expires": self.expires,
            "address": self.address,
            "agent": self.agent,
            "only": self.identity.only and self.identity.only.path(),
        }

    @classmethod
    def parse(cls, name: str, body: Any) -> "Grant":
        """Returns the grant of a page token that was kept on disk. `name`: the credential's. Raises KeyError,
        TypeError, ValueError or BadRequest for anything else.
        """
        if isinstance(body, list):  # of an earlier version
            body = dict(zip(("identity", "groups", "expires"), body, strict=True))
        groups = tuple(str(group) for group in body["groups"])
        only = Target.from_path(body["only"]) if body.get("only") else None
        identity = Identity(str(body["identity"]), "page", groups, name, only)
        return cls(identity, float(body["expires"]), str(body.get("address", "")), str(body.get("agent", "")))
