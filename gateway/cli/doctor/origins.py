"""Finds where a setting of ours stands: which variable, or which line of config.toml."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from gateway.settings.config import DEFAULT
from gateway.settings.names import CLUSTER_SETTINGS, GATEWAY_SETTINGS

_TABLE = re.compile(r"\s*\[\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*=")
_NAMED = re.compile(r"\b((?:gateway|limits|clusters\.[\w-]+)\.\w+)|unknown table '([^']+)'")


def origin(name: str, path: Path, env: Mapping[str, str] = os.environ) -> str:
    """Returns where the setting `name`, as in clusters.default.vm, stands: "environment DAP_RUNNER_VM" or
    "/…/config.toml line 3"; empty where it stands nowhere.
    """
    table, _, key = name.rpartition(".")
    rows = {"gateway": GATEWAY_SETTINGS, f"clusters.{DEFAULT}": CLUSTER_SETTINGS}.get(table, ())
    if variable := next((row.env for row in rows if row.key == key and row.env in env), ""):
        return f"environment {variable}"
    line = _line(path, table, key)
    return f"{path} line {line}" if line else ""


def behind(message: str, path: Path) -> str:
    """Returns the message of a setting that cannot be used with the place of the setting that it names."""
    found = _NAMED.search(message)
    place = (origin(found[1], path) if found[1] else _place(path, found[2])) if found else ""
    return message if not place or place in message else f"{message} ({place})"


def _place(path: Path, table: str) -> str:
    line = _line(path, table, "") or _line(path, "", table)
    return f"{path} line {line}" if line else ""


def _line(path: Path, table: str, key: str) -> int:
    """Returns the line of a table's key, or of the table where `key` is empty; 0 where there is none."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return 0
    current = ""
    for number, line in enumerate(lines, 1):
        if header := _TABLE.match(line):
            current = header[1].replace('"', "").replace("'", "")
            if not key and (current == table or current.startswith(f"{table}.")):
                return number
        elif key and current == table and (found := _KEY.match(line)) and found[1] == key:
            return number
    return 0
