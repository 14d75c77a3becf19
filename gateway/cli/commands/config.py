"""Does `dap config`: writes and shows settings."""

import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import click

from gateway.cli.console import safe
from gateway.errors import ConfigError
from gateway.masking import MASK, mask_url
from gateway.settings.config import MODES, NO_CLUSTER, Config, Limits
from gateway.settings.loader import load
from gateway.settings.names import CLUSTER_SETTINGS, GATEWAY_SETTINGS, Setting
from gateway.settings.paths import config_path, stranger

_ASKED = ("ssh_host", "vm")  # what nobody can guess


def init(given: dict[str, str | None], *, force: bool) -> None:
    """Writes config.toml; on a terminal, asks for what is missing. Raises ConfigError where the file exists
    already.
    """
    path = config_path()
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already: edit it, or replace it with --force")
    if sys.stdin.isatty() and sys.stderr.isatty():
        _ask(given)
    _write(path, document(given), force=force)
    print(f"wrote {path}")


def show(*, as_json: bool) -> None:
    """Prints every setting, its value, and where that comes from. Secrets are not shown. Raises ConfigError."""
    path, rows = config_path(), list(_rows(load()))
    if as_json:
        shown = {key: {"value": value, "origin": origin} for key, value, origin in rows}
        print(json.dumps({"file": str(path), "settings": shown}, indent=2))
        return
    print(f"# {safe(str(path))}{'' if path.exists() else ' (missing; dap config init writes it)'}")
    if not any(key.startswith("clusters.") for key, _, _ in rows):
        print(f"# {NO_CLUSTER}")
    keys, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    for key, value, origin in rows:
        print(f"{safe(key):{keys}}  {safe(value) or '-':{min(values, 40)}}  {safe(origin)}")


def document(given: Mapping[str, str | None]) -> str:
    """Returns the text of config.toml. Raises ConfigError for a mode that does not exist."""
    if given.get("mode") not in (None, *MODES):
        raise ConfigError(f"mode is {given['mode']!r}; use one of {', '.join(MODES)}")
    lines = [
        "# Settings of dap. Flags and environment variables win over this file: `dap config show` tells.",
        "",
        "# One table for each cluster; dap --cluster NAME chooses. The variables are for `default` alone.",
        "[clusters.default]",
        *_section(CLUSTER_SETTINGS, given),
        "",
        "[gateway]",
        *_section(GATEWAY_SETTINGS, given),
        "",
        "# Seconds, bytes and numbers; 0 turns off idle, max_age and what begins with sessions.",
        "[limits]",
        *(f"# {row.name} = {row.default}" for row in fields(Limits)),
    ]
    return "\n".join(lines) + "\n"


def _section(rows: Iterable[Setting], given: Mapping[str, str | None]) -> Iterator[str]:
    for row in rows:
        value = given.get(row.key)
        yield f"# {row.meaning} ({row.env})"
        # JSON's quoting is TOML's, but for this one character
        quoted = json.dumps(value or row.default, ensure_ascii=False).replace("\x7f", "\\u007f")
        yield f"{'' if value else '# '}{row.key} = {quoted}"


def _ask(given: dict[str, str | None]) -> None:
    try:
        for row in CLUSTER_SETTINGS:
            if row.key in _ASKED and given[row.key] is None:
                given[row.key] = click.prompt(row.meaning, default=row.default, err=True)
    except click.Abort:
        print(file=sys.stderr)  # the question has no end of line
        raise


def _write(path: Path, text: str, *, force: bool) -> None:
    """Writes the file so that it is private from its first byte on, and never half written. Raises
    ConfigError where the file exists, unless `force`.
    """
    if (uid := stranger(path)) is not None:
        raise ConfigError(f"{path} would be in a directory of uid {uid}: run this as that user, or set HOME")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
    try:
        if force:
            draft.replace(path)
        else:
            path.hardlink_to(draft)  # fails if another made it meanwhile
    except FileExistsError:
        raise ConfigError(f"{path} exists already: edit it, or replace it with --force") from None
    finally:
        draft.unlink(missing_ok=True)


def _rows(config: Config) -> Iterator[tuple[str, str, str]]:
    for name, cluster in config.clusters.items():
        for row in CLUSTER_SETTINGS:
            key = f"clusters.{name}.{row.key}"
            value = getattr(cluster, row.key)
            yield key, shlex.join(value) if isinstance(value, tuple) else str(value), config.origins[key]
    for row in GATEWAY_SETTINGS:
        value, key = getattr(config, row.key), f"gateway.{row.key}"
        values = value if isinstance(value, tuple) else (_shown(value),)
        yield key, ",".join(_masked(row, text) for text in values), config.origins[key]
    for limit in fields(Limits):
        value = getattr(config.limits, limit.name)
        yield f"limits.{limit.name}", str(value), "default" if value == limit.default else str(config_path())


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)  # as the file has it


def _masked(row: Setting, text: str) -> str:
    if row.secret:
        return MASK if text else ""
    return mask_url(text)
