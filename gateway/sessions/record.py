"""The record that a relay stores of a session for a restarted gateway: owner, command, and the secrets for an attach."""

import hashlib
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

from gateway.access.identity import Identity
from gateway.protocol.actor import Actor
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Command, Target, Verb, Way

_ARGV = 2000  # characters of a command, as JSON, in a record: for people; the relay knows what runs
_NAME, _GROUPS, _GROUP = 100, 5, 60  # characters of a name, number of groups, characters of a group
_AHEAD = 86400.0  # seconds that the clock of this machine may have been ahead
_WAYS: dict[str, Way] = {"api": "api", "kubectl": "kubectl"}
_VERBS: dict[str, Verb] = {"exec": "exec", "attach": "attach", "run": "run"}


class Secret:
    """Checks the secret of an attach and renews it. The secret used stays good until the client has confirmed the new
    secret, since the hello with the new secret may be lost. Stores hashes only.
    """

    def __init__(self, hashes: Iterable[str] = ()) -> None:
        self.hashes = tuple(hashes)

    def renew(self, used: str | None = None) -> str:
        """Makes and returns a new secret. Beside it only the secret `used` stays good."""
        made = secrets.token_urlsafe(32)
        self.hashes = (_hash(made), _hash(used)) if used is not None else (_hash(made),)
        return made

    def confirm(self) -> bool:
        """Forgets every secret but the newest. Returns True if there was one to forget."""
        fresh, self.hashes = len(self.hashes) > 1, self.hashes[:1]
        return fresh

    def is_good(self, secret: str) -> bool:
        """Returns True if an attach with this secret is allowed. Compares in constant time."""
        given = _hash(secret)
        return sum(compare_digest(given, known) for known in self.hashes) > 0


@dataclass(frozen=True)
class SessionRecord:
    """Describes a session for a restarted gateway. `hashes`: of its secrets; `opened`: seconds since the epoch; `counted`:
    True once a gateway process has put the session's end into log and metrics; `modes`: what sets a terminal as the output
    had set it; `way`: how the command got into its pod.
    """

    identity: Identity
    target: Target
    command: Command
    hashes: tuple[str, ...]
    opened: float = field(default_factory=time.time)
    counted: bool = False
    modes: str = ""
    way: Way = ""

    def body(self) -> dict[str, Any]:
        """Returns the record as a JSON object of at most 8 KiB: long names, groups and commands are cut."""
        who, where, what = self.identity, self.target, self.command
        return {
            "identity": [who.name[:_NAME], who.proof, *(group[:_GROUP] for group in who.groups[:_GROUPS])],
            "credential": who.credential,
            "only": who.only and who.only.path(),
            "target": [where.cluster, where.namespace, where.pod, where.container or ""],
            "verb": what.verb,
            "argv": shown(what.argv),
            "actor": [what.actor.user, *what.actor.groups] if what.actor else None,
            "kill": what.kill_on_disconnect,
            "exact": what.exact,
            "secrets": list(self.hashes),
            "opened": self.opened,
            "counted": self.counted,
            "modes": self.modes,
            "way": self.way,
        }

    @classmethod
    def parse(cls, name: str, body: Mapping[str, Any]) -> "SessionRecord | None":
        """Returns the record of session `name` from `body`; None if the body is invalid, or from another gateway version."""
        try:
            who, proof, *groups = map(str, body["identity"])
            cluster, namespace, pod, container = map(str, body["target"])
            actor = [str(part) for part in body.get("actor") or ()]
            argv, hashes = [[str(item) for item in body[key]] for key in ("argv", "secrets")]
            command = Command(
                tuple(argv), _VERBS[body["verb"]], stdin=True, stdout=True, tty=True,
                kill_on_disconnect=bool(body["kill"]), exact=bool(body.get("exact")), own_client=True, session=name,
                actor=Actor(actor[0], tuple(actor[1:])) if actor else None,
            )  # fmt: skip
            target = Target(cluster, namespace, pod, container or None)
            opened, counted = float(body["opened"]), bool(body.get("counted"))
            modes, way = str(body.get("modes", "")), _WAYS.get(body.get("way", ""), "")
            if not 0 <= opened <= time.time() + _AHEAD:
                return None
            only = Target.from_path(body["only"]) if body.get("only") else None
            identity = Identity(who, proof, tuple(groups), str(body.get("credential", "")), only)
            return cls(identity, target, command, tuple(hashes), opened, counted, modes, way)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, BadRequest):
            return None


def shown(argv: tuple[str, ...], limit: int = _ARGV) -> list[str]:
    """Returns the first arguments, as many as a record holds, or `limit` characters; a final "…" stands for the rest."""
    fitting: list[str] = []
    free = limit
    for argument in argv:
        free -= len(json.dumps(argument)) + 2  # as the relay measures a record
        if free < 0:
            return [*fitting, "…"]
        fitting.append(argument)
    return fitting


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
