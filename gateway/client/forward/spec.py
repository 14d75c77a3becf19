"""Parses what `dap port-forward` forwards: `TARGET [LOCAL:]REMOTE…`, and more of these."""

from dataclasses import dataclass

from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target

_LARGEST = 65535


@dataclass(frozen=True)
class Wanted:
    """Holds one port to forward. `local`: 0 for any free port; None for the pod's own number. `remote`: a number, or a
    name, of a service's port where the target is a service.
    """

    target: Target
    local: int | None
    remote: str

    def __str__(self) -> str:
        return f"{self.target.pod}:{self.remote}"


def parse(words: tuple[str, ...], cluster: str, namespace: str | None) -> list[Wanted]:
    """Returns the ports of `words`. A word with a slash (deploy/api) begins another target; all words behind a target are
    its ports. Raises BadRequest.
    """
    wanted: list[Wanted] = []
    target: Target | None = None
    for word in words:
        if target is None or "/" in word:
            if target and not any(one.target == target for one in wanted):
                raise BadRequest(f"name a port of {target.pod}, as in: {target.pod} 8080:80")
            target = Target.parse(cluster, namespace, word, None)
        else:
            wanted.append(_port(target, word))
    if target is None or not any(one.target == target for one in wanted):
        raise BadRequest("name a pod and a port of it, as in: dap port-forward web-0 8080:80")
    return wanted


def _port(target: Target, word: str) -> Wanted:
    local, colon, remote = word.rpartition(":")
    if not remote:
        raise BadRequest(f"{word!a} is no port: write [LOCAL:]REMOTE, as in 8080:80")
    if not colon:
        return Wanted(target, None, remote)
    if local and not (local.isascii() and local.isdecimal() and int(local[:6]) <= _LARGEST):
        raise BadRequest(
            f"{word!a} has no local port in front: use 1 to {_LARGEST}, or 0 for any that is free"
        )
    return Wanted(target, int(local or 0), remote)
