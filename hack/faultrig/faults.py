"""The rows: what is broken, for how long, and what its sessions may be told."""

from dataclasses import dataclass

LOST = ""  # a client whose connection just ends
_KILLED = 128 + 9


@dataclass(frozen=True)
class Fault:
    """One way to break one hop.

    `rows`: of the fault list in the requirements. `place`: who breaks it: the fault command, the client, a program in the pod, or
    whoever runs the gateway. `hold`: seconds until it is undone. `lives`: a session may, or has to (`must_live`), go on afterwards.
    `opens`: so many more, at all places together, are opened at once while it is broken, and each works. `resumes`: the same,
    of those that attach again, open when it breaks.
    """

    name: str
    rows: str
    place: str
    ends: frozenset[str]
    within: float  # seconds from the fault until each client is told
    undo: str | None = None
    hold: float = 60.0
    lives: bool = False
    must_live: bool = False
    exit_codes: frozenset[int] = frozenset()
    opens: int = 0
    resumes: int = 0


def _ends(*words: str) -> frozenset[str]:
    return frozenset(words)


_SSH = _ends("ssh/ssh_lost")
_INCUS = _ends("incus/incus_lost", "incus/incus_stopped")
_GONE = _ends("client/client_lost", "client/client_closed")

# those that start the gateway anew come first: what it has open at the end was kept through all the others
FAULTS = (
    Fault("gateway-term", "26", "gateway", _ends("gateway/shutdown"), 10),
    Fault("gateway-kill", "27", "gateway", _ends(LOST, "gateway/gateway_lost"), 3),
    Fault("gateway-storm", "37", "gateway", _ends(LOST, "gateway/gateway_lost"), 3, resumes=16),
    Fault("ssh-drop", "5, 10", "chain", _SSH, 3),
    Fault("ssh-freeze", "6", "chain", _SSH, 20, undo="ssh-thaw"),
    Fault("ssh-blackhole", "2, 6", "chain", _SSH, 20, undo="ssh-unblackhole"),
    Fault("incus-restart", "12", "chain", _INCUS, 30),
    Fault("runner-stop", "13", "chain", _INCUS, 12, undo="runner-start"),
    Fault("runner-pause", "14", "chain", _ends(), 0, undo="runner-resume", hold=8, lives=True, must_live=True),
    Fault("kubectl-kill", "17", "chain", _ends("kubectl/kubectl_killed"), 3),
    Fault("api-restart", "18", "chain", _ends("cluster/cluster_lost"), 40, lives=True),
    Fault(
        "pod-delete", "20", "chain", _ends("pod/pod_deleted", "pod/container_not_running"), 10,
        undo="pod-restore", exit_codes=frozenset({_KILLED}),
    ),
    Fault(
        "container-end", "21", "container", _ends("pod/container_restarted"), 10, exit_codes=frozenset({_KILLED})
    ),
    Fault("client-cut", "1", "client", _GONE, 10),
    Fault("client-vanish", "1, 2", "client", _GONE, 30),
    Fault("client-silent", "3, 22", "client", _ends(), 0, hold=20, lives=True, must_live=True),
    Fault("ssh-limits", "7, 8", "chain", _ends(), 0, undo="ssh-nolimits", hold=1, lives=True, must_live=True, opens=48),
    Fault("gateway-pause", "31", "gateway", _ends(), 0, hold=5, lives=True, must_live=True),
)  # fmt: skip

# a terminal that is kept goes on behind each of these, whatever its client is told meanwhile
RESUMES = frozenset({
    "ssh-drop", "ssh-freeze", "ssh-blackhole", "incus-restart", "client-cut", "client-vanish", "gateway-term", "gateway-kill",
    "gateway-storm",
})  # fmt: skip

UNPLAYED = {
    "11, 15, 16": "a reboot, the agent in a VM and a full disk in it need a VM, which one machine does not start",
    "19": "kubelet and containerd: the fault command has no word for it",
    "28, 29, 33, 35": "a recording, an OIDC provider, a configuration that is loaded again: the gateway has none of them",
    "32": "too few file descriptors are a test of their own, in tests/server",
    "34, 36": "a token that expires under a session, a proxy that cuts and delays: the rig has neither",
}
