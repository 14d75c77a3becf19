"""The programs that run on this machine, which is every hop of the lab."""

from collections.abc import Iterator
from pathlib import Path


def running() -> Iterator[tuple[Path, str, list[str]]]:
    """Yields the directory in /proc of each process, what the program is called, and its argv. A gateway, which is a Python, is
    called so.
    """
    for path in Path("/proc").glob("[0-9]*"):
        try:
            argv = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            name = "gateway" if argv[1:3] == ["-m", "gateway"] else (path / "comm").read_text().strip()
        except OSError:
            continue  # it has ended
        yield path, name, argv


def ticks(path: Path, *, children: bool = False) -> int:
    """Returns the processor time of a process in ticks (proc_pid_stat(5)), with that of the children it has waited for where
    asked. Raises OSError where it has ended.
    """
    fields = (path / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if children else 13]))
