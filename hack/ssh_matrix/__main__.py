"""`hack/sshmatrix`: runs the rows, prints the table. Exit code: 1 where a difference is not documented, 2 where a row
could not be run or is not the row that it says it is.
"""

import argparse
import getpass
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ssh_matrix.documented import README, documented
from ssh_matrix.home import Home, namespaces
from ssh_matrix.keys import MADE, Keys
from ssh_matrix.row import Row, twice
from ssh_matrix.rows import ROWS
from ssh_matrix.servers import ipv6_works, servers
from ssh_matrix.sides import Side, ours, ssh

_BIN = Path(__file__).parent / "bin"
_PROGRAMS = {
    name: f"{sys.executable} {_BIN / file}"
    for name, file in (("tcp", "tcp.py"), ("passfd", "pass_fd.py"), ("deaf", "deaf.py"))
}


@dataclass(frozen=True)
class Compared:
    """What both sides say of a row; `skipped` is the reason why nobody was asked."""

    row: Row
    ssh: Side
    ours: Side
    skipped: str = ""

    @property
    def differs(self) -> bool:
        return self.ssh.verdict != self.ours.verdict

    @property
    def misplaced(self) -> bool:
        """True where ssh does not say what the row's author saw it say: the row tests something else here."""
        return not self.skipped and self.ssh.verdict != self.row.ssh


def main() -> int:
    """Prints the table; gives the exit code."""
    arguments = _arguments()
    reasons = documented(README.read_text("utf-8") if README.exists() else "")
    chosen = [row for row in ROWS if not arguments.row or any(part in row.name for part in arguments.row)]
    if doubled := twice(ROWS):
        sys.exit(f"rows of the same name: {', '.join(sorted(doubled))}")
    found = []
    with _bench() as (directory, keys, variables), ThreadPoolExecutor(arguments.abreast) as pool:
        jobs = [
            pool.submit(_compare, directory / str(number), row, keys, variables)
            for number, row in enumerate(chosen)
        ]
        for job in jobs:
            found.append(job.result())
            _print(found[-1], reasons, words=arguments.words)
    return _summary(found, reasons)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="hack/sshmatrix", description="Where do ssh and the gateway differ?"
    )
    parser.add_argument("row", nargs="*", help="only rows whose names hold one of these texts")
    parser.add_argument("--abreast", type=int, default=2 * (os.cpu_count() or 1), help="so many rows at once")
    parser.add_argument("--words", action="store_true", help="also what both sides said")
    return parser.parse_args()


@contextmanager
def _bench() -> Iterator[tuple[Path, Path, Mapping[str, str]]]:
    """A directory for the rows, the keys' directory, and the variables of all rows, while all servers run."""
    with tempfile.TemporaryDirectory(prefix="sshmatrix-") as name:
        directory = Path(name)
        for part in ("keys", "servers", "rows"):
            (directory / part).mkdir()
        user = getpass.getuser()
        keys = Keys(directory / "keys", user)
        with servers(directory / "servers", keys) as ports:
            variables = {"user": user, **_PROGRAMS}
            variables |= {f"port.{server}": str(port) for server, port in ports.items()}
            variables |= {f"key.{key}": keys.public(key) for key in MADE}
            yield directory / "rows", keys.directory, variables


def _compare(directory: Path, row: Row, keys: Path, variables: Mapping[str, str]) -> Compared:
    if reason := _unplayable(row):
        return Compared(row, Side("skip"), Side("skip"), reason)
    try:
        home = Home(directory, row, keys, variables)
        with home.beside():
            asked = ssh(home)
            home.fill()
            return Compared(row, asked, ours(home))
    except OSError as error:
        unplayed = Side("unplayed", str(error))
        return Compared(row, unplayed, unplayed)


def _unplayable(row: Row) -> str:
    if row.needs_namespace and not namespaces():
        return "ssh takes the home from passwd: another one needs a mount namespace, as root"
    if row.needs == "ipv6":
        return "" if ipv6_works() else "no IPv6 on loopback"
    return "" if not row.needs or shutil.which(row.needs) else f"{row.needs} is not installed"


def _print(found: Compared, reasons: Mapping[str, str], *, words: bool) -> None:
    if found.skipped:
        print(f"SKIP  {found.row.name}: {found.skipped}", flush=True)
        return
    mark = "same  "
    if found.differs:
        mark = "known " if found.row.name in reasons else "DIFFER"
    print(f"{mark}  {found.row.name:44}  {found.ssh.verdict:12}  {found.ours.verdict}", flush=True)
    if words:
        print(f"        ssh:  {found.ssh.words}\n        ours: {found.ours.words}")
    if found.misplaced:
        print(f"        ssh was to say {found.row.ssh!r}; it said: {found.ssh.words}")


def _summary(found: list[Compared], reasons: Mapping[str, str]) -> int:
    played = [one for one in found if not one.skipped]
    differing = [one for one in played if one.differs]
    known = [one for one in differing if one.row.name in reasons]
    for name in sorted({one.row.name for one in played if not one.differs} & set(reasons)):
        print(f"documented as a difference, and there is none: {name}")
    for name in sorted(set(reasons) - {row.name for row in ROWS}):
        print(f"documented, and no row: {name}")
    print(f"{len(played)} rows, {len(differing)} differ, {len(known)} of them documented")
    if any(one.misplaced for one in played):
        return 2
    return 1 if len(known) < len(differing) else 0


if __name__ == "__main__":
    sys.exit(main())
