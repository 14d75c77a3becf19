"""What a round is made of: gateways with their chains, the clients at each, and what the round comes to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from faultrig.checker import check_orphans
from faultrig.clients import OWN, V5, Client, Socket
from faultrig.dap import Dap, Shell
from faultrig.kept import Kept
from faultrig.lab import Lab
from faultrig.served import Serve

ORPHANS = 30.0  # seconds until nothing of a session may be left


@dataclass
class Played:
    """What one round comes to. `detected`: seconds from the fault until each client was told."""

    fault: str
    chain: str
    seed: str
    detected: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    unpromised: int = 0  # left in the pod by clients whose protocol does not end what it started
    lost: int = 0
    complaints: list[str] = field(default_factory=list)


@dataclass
class Place:
    """Where rounds are played: a gateway, its chain, and whether that keeps terminals."""

    serve: Serve
    lab: Lab
    keeps: bool = False

    def clients(self, mark: str, resumes: int = 0) -> list[Client]:
        """One of each kind, and so many more that attach again; the pod is the one with a shell."""
        access = self.serve.access
        kinds: list[Client] = [
            Socket(access, f"{mark}a", tty=True, protocol=V5), Socket(access, f"{mark}b", tty=False, protocol=V5),
            Socket(access, f"{mark}c", tty=True, protocol=OWN), Socket(access, f"{mark}d", tty=False, protocol=OWN),
            Dap(access, f"{mark}e", tty=False), Shell(access, f"{mark}f"),
        ]  # fmt: skip
        kinds[-1].resumes = self.keeps
        return [*kinds, *(Kept(access, f"{mark}g{n}") for n in range(1 + resumes))] if self.keeps else kinds


@dataclass
class Part:
    """One place's part in a round. `before`: what had arrived at each client when the hop was broken."""

    place: Place
    clients: list[Client]
    played: Played
    since: int  # where the gateway's log ended
    before: list[int] = field(default_factory=list)


def blame(left: Iterable[str], marked: Mapping[str, Played]) -> None:
    """Each process that lives on is complained of where its session's mark is."""
    for row in left:
        played = whose(row, marked)
        played.orphans += 1
        played.complaints += check_orphans([row])


def whose(row: str, marked: Mapping[str, Played]) -> Played:
    """The round that a process is of; the plain chain's wrappers carry no mark, and it is the first."""
    return next((played for mark, played in marked.items() if mark in row), next(iter(marked.values())))
