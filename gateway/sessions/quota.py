"""Limits the number of sessions: per identity, per pod, and in all. A slot is reserved before anything waits, so that
requests that come at once cannot exceed a limit together.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

from gateway import fd_limits
from gateway.access.identity import Identity
from gateway.access.policy import operates
from gateway.errors import Refused
from gateway.protocol.target import Target
from gateway.settings.config import Limits


class Slot:
    """Counts one session against its limits, from creation until `free`, which calls `freed`."""

    def __init__(
        self,
        taken: Counter[tuple[str, ...]],
        keys: tuple[tuple[str, ...], ...],
        freed: Callable[[], None] = lambda: None,
    ) -> None:
        self._taken = taken
        self._keys = keys
        self._freed = freed
        taken.update(keys)

    def free(self) -> None:
        """Gives the slot back. A second call does nothing."""
        keys, self._keys = self._keys, ()
        for key in keys:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
        if keys:
            self._freed()


class Quota:
    """Counts the slots in use, and refuses a session beyond the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: Counter[tuple[str, ...]] = Counter()
        self._shared: dict[tuple[str, ...], Slot] = {}

    @property
    def sessions(self) -> int:
        """Returns how many slots are in use."""
        return self._taken[_ALL]

    def reserve(self, identity: Identity, target: Target) -> Slot:
        """Takes and returns a slot for a session of this identity in this target. Raises Refused: `too_many_sessions` at a
        limit, `out_of_files` when file descriptors are short.
        """
        limits, (_, whose, where) = self._limits, _keys(identity, target)
        reserved = 0 if operates(identity) else min(limits.sessions_reserved, limits.sessions // 10)
        for key, most, holder in (
            (whose, limits.sessions_per_identity, f"{identity.name} has"),
            (where, limits.sessions_per_target, f"{_where(target)} has"),
            (_ALL, limits.sessions - reserved, "this gateway has"),
        ):
            if most and self._taken[key] >= most:
                limit = f"{most} is the limit" + (
                    f" ({reserved} more are for the operator)" if reserved and key == _ALL else ""
                )
                raise Refused(
                    "too_many_sessions", f"{holder} {self._taken[key]} sessions, and {limit}: end one first"
                )
        self._check_files()
        return self.take(identity, target)

    def share(self, identity: Identity, target: Target) -> Slot:
        """Takes and returns a part of the one slot that all parts of this identity in this target have together: the first
        part reserves that slot, and the last one gives it back. Raises Refused as `reserve`.
        """
        key = ("shared", identity.name, *_keys(identity, target)[-1])
        if key in self._shared:
            self._check_files()
        else:
            self._shared[key] = self.reserve(identity, target)
        return Slot(self._taken, (key,), partial(self._unshare, key))

    def _unshare(self, key: tuple[str, ...]) -> None:
        if not self._taken[key]:
            self._shared.pop(key).free()

    def _check_files(self) -> None:
        if not fd_limits.room(self.sessions + 1):
            raise Refused("out_of_files", "this gateway has no file descriptors left for another session")

    def take(self, identity: Identity, target: Target) -> Slot:
        """Takes and returns a slot for a session that exists already, without checking the limits."""
        return Slot(self._taken, _keys(identity, target))


_ALL = ("all",)


def _keys(identity: Identity, target: Target) -> tuple[tuple[str, ...], ...]:
    """Returns the counters of a session: all, identity, pod. All containers of a pod share one counter."""
    return _ALL, ("identity", identity.name), ("target", target.cluster, target.namespace, target.pod)


def _where(target: Target) -> str:
    return f"pod {target.namespace}/{target.pod}" if target.pod else "the runner"
