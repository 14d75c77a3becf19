"""Defines the settings as types, and where their file is. Read once (loader.py), frozen, handed down.

Every value knows its origin, for `dap config show`, and so that a default of ours yields to ~/.ssh/config.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import ConfigError

NO_CLUSTER = (
    "no cluster is configured: run 'dap config init --ssh-host USER@HOST', or set DAP_RUNNER_SSH_HOST; "
    "'dap serve --demo' needs none"
)
KINDS = ("ssh",)
DEFAULT = "default"  # the cluster that the environment configures; else the first one is meant by it
IMPERSONATED = ("none", "user")
MODES = ("auto", "relay", "plain")
EXEC_WAYS = ("auto", "api", "kubectl")


@dataclass(frozen=True)
class Limits:
    """Bounds every wait and every store, in seconds, bytes and numbers; `[limits]` in config.toml."""

    ssh_settings: float = 10.0  # for `ssh -G`, in which the `Match exec` of the user's files runs
    ssh_connect: float = 10.0  # for TCP and the key exchange, where ~/.ssh/config names no ConnectTimeout
    ssh_login: float = 120.0  # from the first authentication request on: a person may take part
    ssh_channel: float = 8.0  # for an open connection to open a channel; then another connection is tried
    ssh_keepalive: float = 4.5  # between keepalives; three without an answer end the connection: 18 s
    start: float = 30.0  # from a channel's opening to the wrapper's header, and for a credential plugin
    turn: float = 180.0  # for its turn, where many plain sessions are opened at once
    window: int = 256 << 10  # bytes that a client which can resume has not seen; and of its input on the way
    grace: float = 600.0  # for a terminal that can be resumed to wait for its client, or for a lost hop
    finish: float = 5.0  # for a command to end after it was told to
    close: float = 60.0  # for the client to take the rest and answer the close
    check: float = 20.0  # for a check of all hops
    ping: float = 15.0  # between pings to a client
    silence: float = 25.0  # without an acknowledgement from the client's kernel, while it owes one
    shutdown: float = 6.0  # for sessions to end after SIGTERM
    journal_memory: int = 1 << 20
    journal_capacity: int = 256 << 20
    stdin_capacity: int = 64 << 20
    spools: int = (
        4 << 30
    )  # bytes on disk of all journals, here, and in a relay; 0: any number, as for the next
    spools_per_identity: int = 1 << 30
    idle: float = 0.0  # without input and output, then a terminal ends; 0: never
    max_age: float = 0.0  # of a terminal, then it ends; 0: never
    head: float = 10.0  # for the head of a request to come
    unread: float = 30.0  # for a client to take some of an answer; for a session's output it is `silence`
    anonymous: int = 1000  # connections over TCP that have shown no credential; then the oldest goes
    anonymous_per_address: int = 500
    anonymous_bytes: int = 32 << 20  # of the unfinished heads of all of these
    messages: int = 256 << 20  # bytes of unfinished messages on all WebSockets; then the largest goes
    upgrades_per_identity: int = 500  # WebSockets that no session has: not yet, or refused
    lists: int = 200  # that pages look at, each read once for all of them
    list_rows: int = 50_000  # of one list; the page says that there are more
    list_linger: float = 30.0  # for a list to be kept up after the last page has left it
    list_poll: float = 15.0  # between two looks at a list where the cluster cannot be watched
    list_silence: float = (
        150.0  # without an event of a watch, then it is begun anew; bookmarks come each minute
    )
    requests_per_identity: int = 2000  # that pass on to a cluster, its watches and forwarded ports included
    sessions: int = 500  # at the same time: 9 GB of kubectl in the runner; 0: any number, as for the two per identity and target
    sessions_reserved: int = 5  # of these for the operator alone, but at most a tenth; 0: none
    sessions_per_identity: int = 50
    sessions_per_target: int = 0  # in one pod, or in one runner
    ended_counts: float = 30.0  # for an ended session to count, while much of its output waits for a client


@dataclass(frozen=True)
class Cluster:
    """Describes how one cluster is reached. `explicit`: the keys that somebody set; the rest are defaults."""

    name: str
    ssh_host: str
    ssh_key: Path
    ssh_known_hosts: Path
    vm: str
    kube_context: str
    mode: str
    explicit: frozenset[str] = frozenset()
    ssh_config: str = ""  # a file; empty: ssh's own files; "none": no file
    namespace: str = ""  # of a pod that is named without one; empty: the context's
    kind: str = "ssh"  # one of KINDS: which backend is made
    incus_project: str = ""  # of `vm`; empty: incus' current one
    kubectl: tuple[str, ...] = ("kubectl",)  # the command that is kubectl in the runner
    impersonate: str = "none"  # one of IMPERSONATED: in whose name the cluster is asked
    exec: str = "auto"  # one of EXEC_WAYS: how a command gets into a pod

    @property
    def kubectl_argv(self) -> tuple[str, ...]:
        """Returns the words with which each command line of kubectl begins: the command, and the context if set."""
        return (*self.kubectl, *(("--context", self.kube_context) if self.kube_context else ()))


@dataclass(frozen=True)
class Config:
    """Holds all settings. `clusters`: those that are configured, the default one first. `origins` maps
    "clusters.default.vm" to where its value comes from.
    """

    clusters: Mapping[str, Cluster]
    listen: str
    public_url: str
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    url: str
    token: str = field(repr=False)
    limits: Limits = field(default_factory=Limits)
    origins: Mapping[str, str] = field(default_factory=dict)
    trusted_proxies: tuple[str, ...] = ()  # networks
    log_argv: bool = False
    spdy_exec: bool = True  # False: exec and attach over SPDY are refused
    production: tuple[str, ...] = ()  # patterns of clusters, or of CLUSTER/NAMESPACE, where the page warns
    tls_listen: str = "none"
    tls_cert: str = ""  # a file; empty: a certificate of our own authority
    tls_key: str = ""
    ca: str = ""  # a file: whom clients trust alone; empty: those of the system, or a login's


def cluster_called(name: str, known: Collection[str]) -> str:
    """Returns the cluster that is meant by a name. `default`, and no name, mean the first cluster where no cluster is
    called that.
    """
    if name not in ("", DEFAULT) or DEFAULT in known:
        return name or DEFAULT
    return next(iter(known), DEFAULT)


def check_clusters(config: Config) -> None:
    """Raises ConfigError where no cluster is configured."""
    if not config.clusters:
        raise ConfigError(NO_CLUSTER)


def bearer_token(text: str, origin: str) -> str:
    """Returns the token without the white space and line ends around it. Raises ConfigError, which names
    `origin` and never the token, for what no Authorization header can carry: RFC 9110, 5.5 has visible ASCII,
    and a space would end a token.
    """
    token = text.strip()
    if not all("!" <= char <= "~" for char in token):
        raise ConfigError(
            f"{origin} has a character that no bearer token can have: only visible ASCII without spaces"
        )
    return token
