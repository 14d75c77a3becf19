"""What is brought along: the modules of gateway.relay as a zip, named by what is in it."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from gateway.relay import wire

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same modules are the same zip


@dataclass(frozen=True)
class Bundle:
    """`boot` reads `archive`; daemons of the same `version` are the same program."""

    boot: str
    archive: bytes
    version: str


@cache
def bundle() -> Bundle:
    """Made once."""
    store = io.BytesIO()
    boot = ""
    with zipfile.ZipFile(store, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files("gateway.relay").iterdir(), key=lambda file: file.name):
            if file.name == "boot.py":
                boot = file.read_text("ascii")
            elif file.name.endswith(".py"):
                archive.writestr(zipfile.ZipInfo(f"dap_relay/{file.name}", _EPOCH), file.read_bytes())
    digest = hashlib.sha256(boot.encode() + store.getvalue()).hexdigest()[:16]
    return Bundle(boot, store.getvalue(), f"{wire.PROTOCOL}-{digest}")
