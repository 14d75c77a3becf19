"""Describes what a ticket or a token gives, without its secret: what lists show, and what is kept on disk."""

from dataclasses import dataclass
from typing import Any

from gateway.access.identity import Identity
from gateway.access.peer import Peer
from gateway.access.scope import Scope
from gateway.protocol.target import Target

_NOWHERE = "none/none/none"


@dataclass
class Grant:
    """Says whose a credential is and until when it is good, and from where it was made or used last. Times are in
    seconds since the epoch: `expires`, which `renew` puts off until `ends` at most, and `used`, which is None before
    the first use, and after a restart. `address` and `agent` are empty where there were none, as on the Unix socket.
    """

    identity: Identity
    expires: float
    address: str = ""
    agent: str = ""
    used: float | None = None
    ends: float = 0.0  # of a ticket 0: nothing renews it
    parent: str = ""  # the public name of what a short token was given for; empty for what lasts

    @property
    def name(self) -> str:
        """Returns the credential's public name."""
        return self.identity.credential

    @property
    def short(self) -> bool:
        """Returns True for a token of a program, for minutes: nothing renews it, and what it opened may last longer."""
        return self.identity.proof == "short"

    @property
    def machine(self) -> bool:
        """Returns True for a token of a machine: nothing renews it, and what it opened ends with it."""
        return self.identity.proof == "machine"

    def renew(self, now: float, life: float) -> bool:
        """Makes a credential that is in use good for `life` seconds from now. Returns True if the grant is another than
        before: only a credential that has lived half of its life, so that few uses cost a write.
        """
        fresh = min(now + life, self.ends)
        if self.expires - now > life / 2 or fresh <= self.expires:
            return False
        self.expires = fresh
        return True

    def seen(self, peer: Peer) -> None:
        """Records from where the credential comes."""
        self.address, self.agent = peer.address, peer.agent

    def body(self) -> dict[str, Any]:
        """Returns what is kept on disk."""
        return {
            "identity": self.identity.name,
            "groups": list(self.identity.groups),
            "expires": self.expires,
            "ends": self.ends,
            "address": self.address,
            "agent": self.agent,
            # an older gateway knows no scope: it reads a target that there is not
            "only": _NOWHERE if self.identity.scope else self.identity.only and self.identity.only.path(),
            **({"short": True, "parent": self.parent} if self.short else {}),
            **({"machine": True} if self.machine else {}),
            **({"scope": self.identity.scope.body()} if self.identity.scope else {}),
        }

    @classmethod
    def parse(cls, name: str, body: Any) -> "Grant":
        """Returns the grant of a token that was kept on disk. `name`: the credential's. Raises KeyError,
        TypeError, ValueError or BadRequest for anything else.
        """
        if isinstance(body, list):  # of an earlier version
            body = dict(zip(("identity", "groups", "expires"), body, strict=True))
        groups = tuple(str(group) for group in body["groups"])
        scope = Scope.parse(*body["scope"]) if body.get("scope") else None
        only = Target.from_path(body["only"]) if body.get("only") and not scope else None
        proof = "short" if body.get("short") else "machine" if body.get("machine") else "page"
        identity = Identity(str(body["identity"]), proof, groups, name, only, scope)
        address, agent = (str(body.get(key, "")) for key in ("address", "agent"))
        return cls(
            identity, float(body["expires"]), address, agent, ends=float(body.get("ends", body["expires"])),
            parent=str(body.get("parent", "")),
        )  # fmt: skip
