"""What idle sessions cost: processes on every hop, memory in gateway and relay, and what kubectl takes by itself.

    .venv/bin/python hack/bench/idle.py [--sessions N] [--at-once N] [--mode MODE] [--beside]

Opens so many terminals through one gateway, lets them settle, and compares with what was there before. `--beside` opens as
many straight at the API server before and after, and compares how many a second there were.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

from chain import spot
from conversation import Asked, BenchError, Conversation, Way
from memory import pss
from processes import running
from rows import opened
from served import serving

_SETTLE = 3.0  # seconds
_SHELL = Asked(("sh",), tty=True)


def main() -> int:
    """The exit code: 2 without a chain."""
    parser = argparse.ArgumentParser(prog="idle.py", description="What idle sessions cost.")
    parser.add_argument("--sessions", type=int, default=200, metavar="N")
    parser.add_argument("--at-once", type=int, default=8, metavar="N")
    parser.add_argument("--beside", action="store_true", help="and straight at the API server")
    parser.add_argument("--mode", default="relay", choices=["plain", "relay", "api"])
    given = parser.parse_args()
    if not os.environ.get("DAP_LAB"):
        print("idle.py: needs a real chain; see README.md beside this file", file=sys.stderr)
        return 2
    mode, way_in = ("relay", "api") if given.mode == "api" else (given.mode, "kubectl")
    straight = [_rate(spot(), given)] if given.beside else []
    with (
        serving(mode, "web-0", "main", "v5.channel.k8s.io", {"DAP_RUNNER_EXEC": way_in}) as way,
        opened(way, _SHELL) as first,  # what is loaded once is no session's
    ):
        first.until(b"# ")
        before = _processes()
        with ExitStack() as stack:
            seconds = _open(stack, way, given)
            time.sleep(_SETTLE)
            after = _processes()
        _leave(first)
    if given.beside:
        straight.append(_rate(spot(), given))
        rates = ", ".join(f"{rate:.1f}" for rate in straight)
        ratio = given.sessions / seconds / max(straight)
        print(f"straight at the API server {rates} a second; the gateway to the better one {ratio:.2f}")
    print(
        f"{given.sessions} sessions, {given.mode}, {given.at_once} at a time: {given.sessions / seconds:.1f} a second"
    )
    print(f"{'':14}{'processes':>16}{'memory, KB':>22}{'a session, KB':>16}")
    for name in ("gateway", "dap-relay", "incus", "sshd-session", "kubectl"):
        was, now = before.get(name, (0, 0)), after.get(name, (0, 0))
        each = (now[1] - was[1]) / given.sessions
        print(f"{name:14}{was[0]:>8} to {now[0]:<5}{was[1]:>10} to {now[1]:<10}{each:>12.1f}")
    return 0


def _rate(way: Way, given: argparse.Namespace) -> float:
    """How many sessions a second could be opened; all are closed again."""
    with ExitStack() as stack:
        seconds = _open(stack, way, given)
    time.sleep(_SETTLE)
    return float(given.sessions / seconds)


def _open(stack: ExitStack, way: Way, given: argparse.Namespace) -> float:
    """Opens sessions that the stack closes. Returns in how many seconds all had their prompt."""

    def begin(_: int) -> Conversation:
        session = way.open(_SHELL)
        session.until(b"# ")
        return session

    began = time.monotonic()
    with ThreadPoolExecutor(given.at_once) as pool:
        for session in pool.map(begin, range(given.sessions)):
            stack.callback(_leave, session)
    return time.monotonic() - began


def _leave(session: Conversation) -> None:
    """Ends a shell: one that is only left goes on in its pod, where nobody but a gateway ends it."""
    with closing(session), suppress(BenchError):
        session.send(b"exit\n")
        session.end()


def _processes() -> dict[str, tuple[int, int]]:
    """(count, kilobytes of proportional memory) by name, on this machine, which is every hop of the lab."""
    found: dict[str, tuple[int, int]] = {}
    for path, name, argv in running():
        if name == "incus" and "exec" not in argv:
            continue
        try:
            memory = pss(int(path.name))
        except (OSError, StopIteration):
            continue
        count, total = found.get(name, (0, 0))
        found[name] = count + 1, total + memory
    return found


if __name__ == "__main__":
    sys.exit(main())
