"""What idle sessions cost: processes on every hop, memory in gateway and relay, and what kubectl takes by itself.

    .venv/bin/python hack/bench/idle.py [--sessions N] [--mode MODE]

Opens so many terminals through one gateway, lets them settle, and compares with what was there before.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from conversation import Asked, Conversation
from rows import opened
from served import serving

_SETTLE = 3.0  # seconds
_AT_ONCE = 10


def main() -> int:
    """The exit code: 2 without a chain."""
    parser = argparse.ArgumentParser(prog="idle.py", description="What idle sessions cost.")
    parser.add_argument("--sessions", type=int, default=200, metavar="N")
    parser.add_argument("--mode", default="relay", choices=["plain", "relay", "api"])
    given = parser.parse_args()
    if not os.environ.get("DAP_LAB"):
        print("idle.py: needs a real chain; see README.md beside this file", file=sys.stderr)
        return 2
    mode, way_in = ("relay", "api") if given.mode == "api" else (given.mode, "kubectl")
    with (
        serving(mode, "web-0", "main", "v5.channel.k8s.io", {"DAP_RUNNER_EXEC": way_in}) as way,
        ExitStack() as stack,
    ):

        def begin(_: int) -> Conversation:
            return way.open(Asked(("sh",), tty=True))

        with opened(way, Asked(("sh",), tty=True)) as first:  # what is loaded once is no session's
            first.until(b"# ")
            before = _processes()
            began = time.monotonic()
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                sessions = list(pool.map(begin, range(given.sessions)))
            for session in sessions:
                stack.callback(session.close)
                session.until(b"# ")
            seconds = time.monotonic() - began
            time.sleep(_SETTLE)
            after = _processes()
    print(f"{given.sessions} sessions, {given.mode}, opened in {seconds:.1f} s")
    print(f"{'':14}{'processes':>16}{'memory, KB':>22}{'a session, KB':>16}")
    for name in ("gateway", "dap-relay", "incus", "sshd-session", "kubectl"):
        was, now = before.get(name, (0, 0)), after.get(name, (0, 0))
        each = (now[1] - was[1]) / given.sessions
        print(f"{name:14}{was[0]:>8} to {now[0]:<5}{was[1]:>10} to {now[1]:<10}{each:>12.1f}")
    return 0


def _processes() -> dict[str, tuple[int, int]]:
    """(count, kilobytes of proportional memory) by name, on this machine, which is every hop of the lab."""
    found: dict[str, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            argv = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            name = "gateway" if argv[1:3] == ["-m", "gateway"] else (path / "comm").read_text().strip()
            if name == "incus" and "exec" not in argv:
                continue
            lines = (path / "smaps_rollup").read_text().splitlines()
            memory = int(next(line for line in lines if line.startswith("Pss:")).split()[1])
        except (OSError, StopIteration):
            continue
        count, total = found.get(name, (0, 0))
        found[name] = count + 1, total + memory
    return found


if __name__ == "__main__":
    sys.exit(main())
