"""Puts the stand-ins, and the HOMEs that they need, into a demo's directory."""

import shlex
import sys
from pathlib import Path

INSTANCE = "dap-demo"
_HERE = Path(__file__).resolve().parent

_KUBECTL = """\
import sys
sys.path.append({packages!r})
from fakes.kubectl import main
sys.exit(main(sys.argv[1:], {pods!r}, {programs!r}))
"""


def install(directory: Path) -> tuple[Path, Path]:
    """Writes the stand-ins. Returns the directory to put on PATH, and the HOME of whoever logs in."""
    names = ("bin", "lib", "management", "runner", "pods")
    programs, lib, management, runner, pods = folders = [directory / name for name in names]
    for folder in folders:
        folder.mkdir(mode=0o700)
    for home in (management, runner):  # /etc/profile sets PATH anew in a login shell
        (home / ".profile").write_text(f"PATH={shlex.quote(str(programs))}:$PATH\n")
    (lib / "incus").write_text((_HERE / "fakes" / "incus.sh").read_text())
    (lib / "kubectl").write_text(_KUBECTL.format(packages=str(_HERE), pods=str(pods), programs=str(programs)))
    settings = f"export DEMO_HOME={shlex.quote(str(runner))} DEMO_INSTANCE={INSTANCE}\n"
    _write_program(programs / "incus", f"{settings}exec /bin/sh {shlex.quote(str(lib / 'incus'))}")
    # No site packages, no environment variables for Python, nothing of the working directory: starts in 10 ms.
    python = f"{shlex.quote(sys.executable)} -I -S"
    _write_program(programs / "kubectl", f"exec {python} {shlex.quote(str(lib / 'kubectl'))}")
    return programs, management


def _write_program(path: Path, lines: str) -> None:
    path.write_text(f'#!/bin/sh\n{lines} "$@"\n')
    path.chmod(0o700)
