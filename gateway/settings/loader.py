"""Loads the settings: flags over the environment over config.toml over defaults."""

import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from math import isfinite
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target, check_namespace
from gateway.settings.config import (
    DEFAULT,
    EXEC_WAYS,
    IMPERSONATED,
    KINDS,
    MODES,
    Cluster,
    Config,
    Limits,
    bearer_token,
)
from gateway.settings.names import CLUSTER_SETTINGS, GATEWAY_SETTINGS, Setting
from gateway.settings.paths import config_path, expand

_MAY_BE_OFF = frozenset({
    "idle", "max_age", "spools", "spools_per_identity", "sessions", "sessions_reserved", "sessions_per_identity", "sessions_per_target",
})  # fmt: skip


def load(env: Mapping[str, str] = os.environ, flags: Mapping[str, str] | None = None) -> Config:
    """Returns all settings. Raises ConfigError with the file or variable to mend. `flags`: "gateway.listen"
    -> value.
    """
    path = config_path(env)
    document = _read(path)
    unknown = set(document) - {"gateway", "clusters", "limits"}
    if unknown:
        raise ConfigError(f"{path}: unknown table {min(unknown)!r}; there are gateway, clusters.NAME, limits")
    _only(_table(document, "gateway", path), {row.key for row in GATEWAY_SETTINGS}, "gateway", path)
    layers = _Layers(env, dict(flags or {}), document, path)
    gateway = {row.key: layers.value("gateway", row, from_env=True) for row in GATEWAY_SETTINGS}
    tables = _table(document, "clusters", path)
    own = DEFAULT in tables or any(row.env in env for row in CLUSTER_SETTINGS)
    if gateway["token"] and layers.origins["gateway.token"] == str(path) and path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} has a token and can be read by others: run 'chmod 600 {path}'")
    names = [*[DEFAULT] * own, *(name for name in tables if name != DEFAULT)]
    clusters = {name: layers.cluster(name) for name in names}
    limits = layers.limits()
    return Config(
        clusters,
        gateway["listen"],
        gateway["public_url"].rstrip("/"),
        _list(gateway["allowed_hosts"]),
        _list(gateway["allowed_origins"]),
        gateway["url"].rstrip("/"),
        bearer_token(gateway["token"], f"gateway.token ({layers.origins['gateway.token']})"),
        limits,
        layers.origins,
        layers.networks(gateway["trusted_proxies"]),
        layers.is_true("gateway.log_argv", gateway["log_argv"]),
        production=_list(gateway["production"]),
        spdy_exec=layers.is_true("gateway.spdy_exec", gateway["spdy_exec"]),
        tls_listen=gateway["tls_listen"],
        tls_cert=gateway["tls_cert"],
        tls_key=gateway["tls_key"],
        ca=gateway["ca"],
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
            value, origin = _toml_text(section[row.key], row, name, self.path), str(self.path)
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
        got = {row.key: self.value(table, row, from_env=name == DEFAULT) for row in CLUSTER_SETTINGS}
        explicit = frozenset(key for key in got if self.origins[f"{table}.{key}"] != "default")
        for key, known in (
            ("kind", KINDS),
            ("mode", MODES),
            ("impersonate", IMPERSONATED),
            ("exec", EXEC_WAYS),
        ):
            if got[key] not in known:
                raise ConfigError(f"{table}.{key} is {got[key]!r}; use one of {', '.join(known)}")
        self._check_incus_name(table, "vm", got["vm"], "an Incus instance, as `incus list` shows it")
        if got["incus_project"]:
            shown = "an Incus project, as `incus project list` shows it"
            self._check_incus_name(table, "incus_project", got["incus_project"], shown)
        self._check_namespace(table, got["namespace"])
        paths = {key: expand(got[key], self.env) for key in ("ssh_key", "ssh_known_hosts")}
        config = str(expand(got["ssh_config"], self.env)) if got["ssh_config"] else ""
        return Cluster(
            name, got["ssh_host"], paths["ssh_key"], paths["ssh_known_hosts"],
            got["vm"], got["kube_context"], got["mode"], explicit, config, got["namespace"], got["kind"],
            got["incus_project"], self._kubectl(table, got["kubectl"]), got["impersonate"], got["exec"],
        )  # fmt: skip

    def _check_incus_name(self, table: str, key: str, name: str, shown: str) -> None:
        """Raises ConfigError for a name that incus would take for a flag, also behind a remote, or that is empty."""
        if not name.isprintable() or any(part.startswith("-") or not part for part in name.split(":")):
            origin = self.origins[f"{table}.{key}"]
            raise ConfigError(f"{table}.{key} ({origin}) is {name!r}; name {shown}")

    def _kubectl(self, table: str, text: str) -> tuple[str, ...]:
        """Returns the words of the setting `kubectl`. Raises ConfigError where no command can begin with them."""
        try:
            words = tuple(shlex.split(text))
        except ValueError:
            words = ()
        if not words or not text.isprintable() or words[0].startswith("-") or not all(words):
            origin = self.origins[f"{table}.kubectl"]
            raise ConfigError(f"{table}.kubectl ({origin}) is {text!r}; name a program, as in 'k3s kubectl'")
        return words

    def _check_namespace(self, table: str, name: str) -> None:
        try:
            if name:
                check_namespace(name)
        except BadRequest as error:
            origin = self.origins[f"{table}.namespace"]
            raise ConfigError(f"{table}.namespace ({origin}): {error}") from None

    def networks(self, text: str) -> tuple[str, ...]:
        found = _list(text)
        for one in found:
            try:
                ip_network(one)
            except ValueError as error:
                origin = self.origins["gateway.trusted_proxies"]
                raise ConfigError(
                    f"gateway.trusted_proxies ({origin}): {error}; use addresses and networks, as in 10.0.0.0/8"
                ) from None
        return found

    def is_true(self, name: str, text: str) -> bool:
        if text not in ("true", "false"):
            raise ConfigError(f"{name} ({self.origins[name]}) is {text!r}; use true or false")
        return text == "true"

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


def _toml_text(value: Any, row: Setting, name: str, path: Path) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if row.flag and isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {name} must be text in quotes")
    return value


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
