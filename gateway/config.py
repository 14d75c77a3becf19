"""Settings: flags over the environment over config.toml over defaults. Read once, frozen, handed down.

Every value knows its origin, for `dap config show`, and so that a default of ours yields to ~/.ssh/config.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target

MODES = ("auto", "relay", "plain")


@dataclass(frozen=True)
class Setting:
    """One row: where it stands in config.toml, its environment variable, its default, and what it means."""

    key: str
    env: str
    default: str
    meaning: str
    secret: bool = False


CLUSTER_SETTINGS = (
    Setting(
        "ssh_host",
        "DAP_RUNNER_SSH_HOST",
        "user@mgmt.example.com",
        "[user@]host[:port] of the management host",
    ),
    Setting(
        "ssh_key",
        "DAP_RUNNER_SSH_KEY",
        "~/.ssh/id_ed25519",
        "private key; an agent is used when there is one",
    ),
    Setting(
        "ssh_known_hosts", "DAP_RUNNER_SSH_KNOWN_HOSTS", "~/.ssh/known_hosts", "host keys that are trusted"
    ),
    Setting("vm", "DAP_RUNNER_VM", "dap-runner", "the Incus instance that reaches the cluster"),
    Setting(
        "kube_context", "DAP_RUNNER_KUBE_CONTEXT", "", "kubeconfig context there; empty: its current one"
    ),
    Setting("mode", "DAP_RUNNER_MODE", "auto", "auto: relay where the runner has python3; relay; plain"),
)
GATEWAY_SETTINGS = (
    Setting("listen", "DAP_GATEWAY_LISTEN", "localhost:8080", "where dap serve listens"),
    Setting("public_url", "DAP_GATEWAY_PUBLIC_URL", "", "the URL people use, when a proxy stands in front"),
    Setting("allowed_hosts", "DAP_GATEWAY_ALLOWED_HOSTS", "", "more Host headers to accept, comma separated"),
    Setting("allowed_origins", "DAP_GATEWAY_ALLOWED_ORIGINS", "", "more Origins to accept, comma separated"),
    Setting(
        "url", "DAP_GATEWAY_URL", "", "the gateway that client commands use; empty: the local Unix socket"
    ),
    Setting("token", "DAP_GATEWAY_TOKEN", "", "bearer token; empty: made at first start", secret=True),
)


@dataclass(frozen=True)
class Limits:
    """Every wait and every store has one. Seconds, bytes and numbers; `[limits]` in config.toml."""

    ssh_connect: float = 10.0  # to a connection; people at a prompt get four times as long to log in
    ssh_channel: float = 8.0  # for an open connection to open a channel; then another connection is tried
    ssh_keepalive: float = 5.0  # between keepalives; three without an answer end the connection
    start: float = 30.0  # from the opening of a channel to the wrapper's header
    window: int = (
        256 << 10
    )  # bytes that a client which can resume has not seen yet, and of its input on the way
    grace: float = 600.0  # for a terminal that can be resumed to wait for its client, or for a lost hop
    finish: float = 5.0  # for a command to end after it was told to
    close: float = 60.0  # for the client to take the rest and answer the close
    check: float = 20.0  # for a check of all hops
    ping: float = 15.0  # between pings to a client
    silence: float = 45.0  # without an acknowledgement from the client's kernel, while it owes one
    shutdown: float = 6.0  # for sessions to end after SIGTERM
    journal_memory: int = 1 << 20
    journal_capacity: int = 256 << 20
    stdin_capacity: int = 64 << 20
    idle: float = 0.0  # without input and output, then a terminal ends; 0: never
    max_age: float = 0.0  # of a terminal, then it ends; 0: never
    sessions: int = 500  # at the same time: 9 GB of kubectl in the runner; 0: any number, as for the next two
    sessions_per_identity: int = 0
    sessions_per_target: int = 0  # in one pod, or in one runner


_MAY_BE_OFF = frozenset({"idle", "max_age", "sessions", "sessions_per_identity", "sessions_per_target"})


@dataclass(frozen=True)
class Cluster:
    """How one cluster is reached. `explicit`: the keys that somebody set; the rest are defaults."""

    name: str
    ssh_host: str
    ssh_key: Path
    ssh_known_hosts: Path
    vm: str
    kube_context: str
    mode: str
    explicit: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Config:
    """All settings. `origins` maps "clusters.default.vm" to where its value comes from."""

    clusters: Mapping[str, Cluster]
    listen: str
    public_url: str
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    url: str
    token: str
    limits: Limits = field(default_factory=Limits)
    origins: Mapping[str, str] = field(default_factory=dict)


def config_path(env: Mapping[str, str] = os.environ) -> Path:
    """$XDG_CONFIG_HOME/dap/config.toml."""
    return _xdg(env, "XDG_CONFIG_HOME", ".config") / "config.toml"


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """$XDG_STATE_HOME/dap, for the token."""
    return _xdg(env, "XDG_STATE_HOME", ".local/state")


def socket_path(env: Mapping[str, str] = os.environ) -> Path:
    """The Unix socket of the local gateway: in $XDG_RUNTIME_DIR, or in the state directory where there is none."""
    runtime = env.get("XDG_RUNTIME_DIR")
    return (Path(runtime) / "dap" if runtime else state_dir(env)) / "gateway.sock"


def load(env: Mapping[str, str] = os.environ, flags: Mapping[str, str] | None = None) -> Config:
    """Reads everything. Raises ConfigError with the file or variable to mend. `flags`: "gateway.listen" -> value."""
    path = config_path(env)
    document = _read(path)
    unknown = set(document) - {"gateway", "clusters", "limits"}
    if unknown:
        raise ConfigError(f"{path}: unknown table {min(unknown)!r}; there are gateway, clusters.NAME, limits")
    _only(_table(document, "gateway", path), {row.key for row in GATEWAY_SETTINGS}, "gateway", path)
    layers = _Layers(env, dict(flags or {}), document, path)
    gateway = {row.key: layers.value("gateway", row, from_env=True) for row in GATEWAY_SETTINGS}
    names = ["default", *(name for name in _table(document, "clusters", path) if name != "default")]
    clusters = {name: layers.cluster(name) for name in names}
    limits = layers.limits()
    return Config(
        clusters,
        gateway["listen"],
        gateway["public_url"].rstrip("/"),
        _list(gateway["allowed_hosts"]),
        _list(gateway["allowed_origins"]),
        gateway["url"].rstrip("/"),
        gateway["token"],
        limits,
        layers.origins,
    )


@dataclass
class _Layers:
    env: Mapping[str, str]
    flags: dict[str, str]
    document: dict[str, Any]
    path: Path
    origins: dict[str, str] = field(default_factory=dict)

    def value(self, table: str, row: Setting, *, from_env: bool) -> str:
        name = f"{table}.{row.key}"
        value, origin = row.default, "default"
        section: Any = self.document
        for part in table.split("."):
            section = _table(section, part, self.path)
        if row.key in section:
            value, origin = _toml_text(section[row.key], name, self.path), str(self.path)
        if from_env and row.env in self.env:
            value, origin = self.env[row.env], f"environment {row.env}"
        if name in self.flags:
            value, origin = self.flags[name], "flag"
        self.origins[name] = origin
        return value

    def cluster(self, name: str) -> Cluster:
        try:
            Target.parse(name, "default", "pod", None)
        except BadRequest as error:
            raise ConfigError(f"{self.path}: {error}") from None
        table = f"clusters.{name}"
        given = _table(_table(self.document, "clusters", self.path), name, self.path)
        _only(given, {row.key for row in CLUSTER_SETTINGS}, table, self.path)
        got = {row.key: self.value(table, row, from_env=name == "default") for row in CLUSTER_SETTINGS}
        explicit = frozenset(key for key in got if self.origins[f"{table}.{key}"] != "default")
        if got["mode"] not in MODES:
            raise ConfigError(f"{table}.mode is {got['mode']!r}; use one of {', '.join(MODES)}")
        home = Path(self.env.get("HOME", "~"))
        paths = {
            key: home / got[key][2:] if got[key].startswith("~/") else Path(got[key])
            for key in ("ssh_key", "ssh_known_hosts")
        }
        return Cluster(
            name, got["ssh_host"], paths["ssh_key"], paths["ssh_known_hosts"],
            got["vm"], got["kube_context"], got["mode"], explicit,
        )  # fmt: skip

    def limits(self) -> Limits:
        given = _table(self.document, "limits", self.path)
        _only(given, {row.name for row in fields(Limits)}, "limits", self.path)
        sizes = {name for name in given if isinstance(getattr(Limits, name), int)}
        for name, value in given.items():
            number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
            least = 1 if name in sizes else 1e-3
            if not number or (value < least and not (name in _MAY_BE_OFF and value == 0)):
                kind = "0 (off) or a number above it" if name in _MAY_BE_OFF else "a number above 0"
                raise ConfigError(f"{self.path}: limits.{name} must be {kind}")
        return Limits(**{name: int(value) if name in sizes else value for name, value in given.items()})


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _table(document: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name} must be a table, as in [{name}]")
    return table


def _only(given: Mapping[str, Any], known: set[str], table: str, path: Path) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"{path}: unknown setting {table}.{name}; known are {', '.join(sorted(known))}")


def _toml_text(value: Any, name: str, path: Path) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {name} must be text in quotes")
    return value


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _xdg(env: Mapping[str, str], variable: str, fallback: str) -> Path:
    base = env.get(variable)
    return (Path(base) if base else Path(env.get("HOME", "~")).expanduser() / fallback) / "dap"
