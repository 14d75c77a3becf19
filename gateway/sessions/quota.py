"""How many sessions there may be: for one identity, in one pod, and in all. A place is taken before anything waits, so
that of any number that come at once exactly as many get in as there is room for.
"""

from collections import Counter

from gateway import fd_limits
from gateway.access.identity import Identity
from gateway.access.policy import operates
from gateway.errors import Refused
from gateway.protocol.target import Target
from gateway.settings.config import Limits


class Slot:
    """One session's. Free again after `free`, which may be called more than once."""

    def __init__(self, taken: Counter[tuple[str, ...]], keys: tuple[tuple[str, ...], ...]) -> None:
        self._taken = taken
        self._keys = keys
        taken.update(keys)

    def free(self) -> None:
        """The session has ended, or was not opened after all."""
        keys, self._keys = self._keys, ()
        for key in keys:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]


class Quota:
    """Counts the places that are taken; refuses what is beyond the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: Counter[tuple[str, ...]] = Counter()

    @property
    def sessions(self) -> int:
        """Places that are taken."""
        return self._taken[_ALL]

    def reserve(self, identity: Identity, target: Target) -> Slot:
        """Raises Refused: too_many_sessions, out_of_files."""
        limits, (_, whose, where) = self._limits, _keys(identity, target)
        kept = 0 if operates(identity) else min(limits.sessions_reserved, limits.sessions // 10)
        for key, most, words in (
            (whose, limits.sessions_per_identity, f"{identity.name} has"),
            (where, limits.sessions_per_target, f"{_where(target)} has"),
            (_ALL, limits.sessions - kept, "this gateway has"),
        ):
            if most and self._taken[key] >= most:
                limit = f"{most} is the limit" + (
                    f" ({kept} more are for the operator)" if kept and key == _ALL else ""
                )
                raise Refused(
                    "too_many_sessions", f"{words} {self._taken[key]} sessions, and {limit}: end one first"
                )
        if not fd_limits.room(self.sessions + 1):
            raise Refused("out_of_files", "this gateway has no file descriptors left for another session")
        return self.take(identity, target)

    def take(self, identity: Identity, target: Target) -> Slot:
        """A place for a session that is there already, whatever the limits."""
        return Slot(self._taken, _keys(identity, target))


_ALL = ("all",)


def _keys(identity: Identity, target: Target) -> tuple[tuple[str, ...], ...]:
    """The container does not count: a pod has one room, however its container is named, or not."""
    return _ALL, ("identity", identity.name), ("target", target.cluster, target.namespace, target.pod)


def _where(target: Target) -> str:
    return f"pod {target.namespace}/{target.pod}" if target.pod else "the runner"
