"""Where the processor's time goes while bytes stream: milliseconds a MB of each program on the way.

    .venv/bin/python hack/bench/shares.py [--runs N] [--mode MODE]...

Sends 64 MiB out of a pod and into it, through plain ssh, the gateway and straight at the API server, one after the other.
On a machine whose processors are all taken the sum is what decides; nothing else may use the chain meanwhile.
"""

import argparse
import os
import sys
from collections import Counter
from contextlib import ExitStack, suppress
from statistics import median

from chain import MODES, serving_way, spot
from processes import running, ticks
from raw import Raw
from rows import MIB, output, upload

_COUNT = 64 * MIB
_PROGRAMS = {
    "gateway": ("gateway",),
    "relay": ("dap-relay",),
    "kubectl": ("kubectl",),
    "incus": ("incus", "incusd"),
    "ssh": ("ssh", "sshd", "sshd-session", "sshd-auth"),
    "API server": ("kube-apiserver", "streamfront", "etcd"),
    "kubelet": ("kubelet", "containerd", "containerd-shim"),
    "bench": ("bench",),
}
_TICK = 1000 / os.sysconf("SC_CLK_TCK")  # milliseconds


def main() -> int:
    """The exit code: 2 without a chain."""
    parser = argparse.ArgumentParser(
        prog="shares.py", description="Processor time of each program on the way."
    )
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--mode", action="append", choices=list(MODES), help="may be repeated (api)")
    given = parser.parse_args()
    if not os.environ.get("DAP_LAB"):
        print("shares.py: needs a real chain; see README.md beside this file", file=sys.stderr)
        return 2
    raw = Raw(
        os.environ["DAP_LAB_SSH_CONFIG"], os.environ.get("DAP_RUNNER_VM", "dap-runner"), "web-0", "main"
    )
    samples = {"output": output(_COUNT, tty=False), "input": upload(_COUNT)}
    print("| | MB/s | all | " + " | ".join(_PROGRAMS) + " |\n|---" * 1 + "|---:" * (len(_PROGRAMS) + 2) + "|")
    with ExitStack() as stack:
        served = [
            stack.enter_context(serving_way(name, "v5.channel.k8s.io")) for name in given.mode or ["api"]
        ]
        ways = [raw, *served, spot()]
        for row, sample in samples.items():
            for way in ways:
                found = []
                for _ in range(given.runs):
                    before = _spent()
                    rate = next(iter(sample([way]).values()))[way.name]
                    found.append((rate, _spent() - before))
                print(_line(f"{row}, {way.name}", found))
    return 0


def _line(name: str, found: list[tuple[float, Counter[str]]]) -> str:
    """A row of the table: medians."""
    megabytes = _COUNT / 1e6
    each = [median(spent[program] for _, spent in found) / megabytes for program in _PROGRAMS]
    numbers = [median(rate for rate, _ in found), sum(each), *each]
    return f"| {name} | " + " | ".join(f"{number:.1f}" for number in numbers) + " |"


def _spent() -> Counter[str]:
    """Milliseconds of all processes that run, and of those they have waited for, by what the table calls the program."""
    names = {name: program for program, all_ in _PROGRAMS.items() for name in all_}
    found: Counter[str] = Counter()
    for path, name, _ in running():
        program = names.get("bench" if path.name == str(os.getpid()) else name)
        if program:
            with suppress(OSError):
                found[program] += round(ticks(path, children=True) * _TICK)
    return found


if __name__ == "__main__":
    sys.exit(main())
