"""Describes whose logs are wanted, and which part of them."""

import math
from dataclasses import dataclass
from typing import Literal

from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target

Event = Literal["waits", "joined", "ended", "restarted", "lost", "back", "gap", "reopened", "failed"]


@dataclass(frozen=True)
class Source:
    """Names one container of one pod. `uid`: tells the pod from a later one of the same name."""

    namespace: str
    pod: str
    uid: str
    container: str
    only: bool = True  # the container is the only one of its pod whose log is read

    def __str__(self) -> str:
        return self.pod if self.only else f"{self.pod}:{self.container}"


@dataclass(frozen=True)
class Notice:
    """Holds what happened to a source, between its lines."""

    event: Event
    source: Source
    why: str


@dataclass(frozen=True)
class Selection:
    """Names what leads to pods: a pod, a workload or service, a label selector, or with neither all pods."""

    target: Target | None = None
    labels: str = ""

    @property
    def kind(self) -> str:
        """Returns the kind of what leads to the pods; empty for a pod, and for labels."""
        kind = self.target.pod.rpartition("/")[0] if self.target else ""
        return "" if kind in ("po", "pod", "pods") else kind

    @property
    def name(self) -> str:
        """Returns the name of the pod, or of what leads to pods; empty for labels."""
        return self.target.pod.rpartition("/")[2] if self.target else ""

    @property
    def is_one_pod(self) -> bool:
        """True if the selection names a pod by its name."""
        return bool(self.name) and not self.kind

    def __str__(self) -> str:
        return self.target.pod if self.target else self.labels or "any"


@dataclass(frozen=True)
class Wish:
    """Holds which part of the logs is wanted.

    `since`: seconds back from now; `tail`: so many of the last lines; None for all. `previous`: the container's run before
    this one, and with `follow` what came after it. `container`: empty for the pod's default one; `every`: all of them.
    `patience`: seconds in which a lost hop may come back; `silence`: seconds without a line after which a log that is
    followed is looked at by another way; `sort`: seconds that a line waits for older ones of other containers.
    """

    follow: bool = False
    since: float | None = None
    tail: int | None = None
    previous: bool = False
    container: str = ""
    every: bool = False
    patience: float = 60.0
    silence: float = 30.0
    sort: float = 0.5

    @property
    def window(self) -> float:
        """Returns how long a line waits for older ones: without `follow` until all sources have a line or have ended."""
        return self.sort if self.follow else math.inf


def selections(
    cluster: str, namespace: str | None, words: tuple[str, ...], labels: tuple[str, ...], *, everything: bool
) -> list[Selection]:
    """Returns what the words of a command line select. Raises BadRequest."""
    if everything and (words or labels):
        raise BadRequest("--all means all pods of the namespace: name no others with it")
    for one in labels:
        if not one.strip():
            raise BadRequest("an empty selector selects all pods: use --all for these")
    if everything:
        return [Selection()]
    named = [Selection(Target.parse(cluster, namespace, word, None)) for word in dict.fromkeys(words)]
    if not named and not labels:
        raise BadRequest(
            "name a pod, or what leads to pods, as in: dap logs web-0, dap logs deploy/api, dap logs -l app=web"
        )
    return [*named, *(Selection(labels=one) for one in dict.fromkeys(labels))]
