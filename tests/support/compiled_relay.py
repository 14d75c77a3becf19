"""The relay's modules with their bytecode beside them, so that no relay of a test compiles what the last one has."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from gateway.backends.relay.bundle import Bundle, bundle

_COMPILE = """
import importlib._bootstrap_external, io, sys, zipfile
archive = io.BytesIO(sys.stdin.buffer.read())
with zipfile.ZipFile(archive, "a") as both:
    for name in both.namelist():
        code = compile(both.read(name), name, "exec", dont_inherit=True)
        both.writestr(name + "c", importlib._bootstrap_external._code_to_hash_pyc(code, bytes(8), False))
sys.stdout.buffer.write(archive.getvalue())
"""
_SOURCE = bundle


@cache
def compiled(python: str = sys.executable) -> Bundle:
    """The bundle of this gateway's version with bytecode for that Python: another one reads the source in it."""
    source = _SOURCE()
    done = subprocess.run(
        [python, "-I", "-S", "-c", _COMPILE], input=source.archive, stdout=subprocess.PIPE, check=True
    )
    return replace(source, archive=done.stdout)


def with_more(archive: bytes, more: Mapping[str, str]) -> bytes:
    """The archive with text added to modules of the relay, which have no bytecode then."""
    store = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(store, "w") as new:
        for name in old.namelist():
            added = more.get(name.removeprefix("dap_relay/").removesuffix("c").removesuffix(".py"), "")
            if not (added and name.endswith("c")):
                new.writestr(name, old.read(name) + (b"\n" + added.encode() if added else b""))
    return store.getvalue()
