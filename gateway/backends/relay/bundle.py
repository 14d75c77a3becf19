"""Packs the modules of gateway.relay into a zip, with a version that is computed from their content."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from gateway.relay import wire

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file, so that the same modules make the same zip


@dataclass(frozen=True)
class Bundle:
    """Holds what a relay is started from. `boot`: the text of boot.py, which reads `archive`, the zip; daemons of the
    same `version` run the same program.
    """

    boot: str
    archive: bytes
    version: str


@cache
def bundle() -> Bundle:
    """Returns the bundle of this gateway's version; builds it once per process."""
    store = io.BytesIO()
    boot = ""
    with zipfile.ZipFile(store, "w") as archive:
        for file in sorted(files("gateway.relay").iterdir(), key=lambda file: file.name):
            if file.name == "boot.py":
                boot = file.read_text("ascii")
            elif file.name.endswith(".py"):
                # said for each file: a ZipInfo has a compression of its own, none
                named = zipfile.ZipInfo(f"dap_relay/{file.name}", _EPOCH)
                archive.writestr(named, file.read_bytes(), zipfile.ZIP_DEFLATED)
    digest = hashlib.sha256(boot.encode() + store.getvalue()).hexdigest()[:16]
    return Bundle(boot, store.getvalue(), f"{wire.PROTOCOL}-{digest}")
