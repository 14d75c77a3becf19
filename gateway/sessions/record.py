"""What a relay keeps for the next life of this gateway: whose session it is, what it runs, and who may attach to it."""

import hashlib
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

from gateway.access.identity import Identity
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Command, Target, Verb

_ARGV = 2000  # characters of a command, as JSON, that are kept: what runs is known there, this is for people
_NAME, _GROUPS, _GROUP = 100, 5, 60  # characters of a name, groups, characters of one
_AHEAD = 86400.0  # seconds that the clock of this machine may have been ahead
_VERBS: dict[str, Verb] = {"exec": "exec", "attach": "attach", "run": "run"}


class Secret:
    """What an attach has to know. Made new at each attach; the one that the attach knew is good until the client has
    shown that it got the new one, since the hello that told it may have been lost. Only hashes are kept.
    """

    def __init__(self, hashes: Iterable[str] = ()) -> None:
        self.hashes = tuple(hashes)

    def renew(self, used: str | None = None) -> str:
        """A new secret; beside it only the one that was `used` is still good."""
        made = secrets.token_urlsafe(32)
        self.hashes = (_hash(made), _hash(used)) if used is not None else (_hash(made),)
        return made

    def confirm(self) -> bool:
        """The client has the newest: those before are no longer good. No when that is known already."""
        fresh, self.hashes = len(self.hashes) > 1, self.hashes[:1]
        return fresh

    def is_good(self, secret: str) -> bool:
        """Compares in constant time."""
        given = _hash(secret)
        return sum(compare_digest(given, one) for one in self.hashes) > 0


@dataclass(frozen=True)
class SessionRecord:
    """`opened`: seconds since the epoch. `counted`: its end is in the log and the metrics of a life of the gateway."""

    identity: Identity
    target: Target
    command: Command
    hashes: tuple[str, ...]
    opened: float = field(default_factory=time.time)
    counted: bool = False

    def body(self) -> dict[str, Any]:
        """At most 8 KiB as JSON."""
        who, where, what = self.identity, self.target, self.command
        return {
            "identity": [who.name[:_NAME], who.proof, *(one[:_GROUP] for one in who.groups[:_GROUPS])],
            "credential": who.credential,
            "target": [where.cluster, where.namespace, where.pod, where.container or ""],
            "verb": what.verb,
            "argv": shown(what.argv),
            "kill": what.kill_on_disconnect,
            "secrets": list(self.hashes),
            "opened": self.opened,
            "counted": self.counted,
        }

    @classmethod
    def parse(cls, name: str, body: Mapping[str, Any]) -> "SessionRecord | None":
        """None where an older or newer gateway wrote something else. `name`: the session's."""
        try:
            who, proof, *groups = map(str, body["identity"])
            cluster, namespace, pod, container = map(str, body["target"])
            argv, hashes = [[str(one) for one in body[key]] for key in ("argv", "secrets")]
            command = Command(
                tuple(argv), _VERBS[body["verb"]], stdin=True, stdout=True, tty=True,
                kill_on_disconnect=bool(body["kill"]), own_client=True, session=name,
            )  # fmt: skip
            target = Target(cluster, namespace, pod, container or None)
            opened, counted = float(body["opened"]), bool(body.get("counted"))
            if not 0 <= opened <= time.time() + _AHEAD:
                return None
            identity = Identity(who, proof, tuple(groups), str(body.get("credential", "")))
            return cls(identity, target, command, tuple(hashes), opened, counted)
        except (KeyError, TypeError, ValueError, OverflowError, BadRequest):
            return None


def shown(argv: tuple[str, ...]) -> list[str]:
    """As much of it as fits a note; "…" stands for the rest."""
    found: list[str] = []
    room = _ARGV
    for argument in argv:
        room -= len(json.dumps(argument)) + 2  # which is how the relay measures it
        if room < 0:
            return [*found, "…"]
        found.append(argument)
    return found


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
