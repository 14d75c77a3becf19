"""Does everything arrive over a link that is slower than the pod? 20 MB, counted and compared, as often as asked.

    lab link 1024 20; .venv/bin/python hack/bench/slow.py --host HOST:PORT [--runs N] [--mode MODE]

`kubectl exec` alone loses the tail of what is read slowly, with exit code 0. Exit code 1 when one run is not whole.
"""

import argparse
import hashlib
import os
import sys
import time

from conversation import Asked
from rows import opened
from served import serving

_LINES = 2_500_000  # of 8 bytes


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="slow.py", description="20 MB over a slow link, whole or not.")
    parser.add_argument(
        "--host", required=True, help="[user@]host:port of the slow way to the management host"
    )
    parser.add_argument("--runs", type=int, default=20, metavar="N")
    parser.add_argument("--mode", default="relay", choices=["plain", "relay"])
    given = parser.parse_args()
    if not os.environ.get("DAP_LAB"):
        print("slow.py: needs a real chain; see README.md beside this file", file=sys.stderr)
        return 2
    os.environ["DAP_RUNNER_SSH_HOST"] = given.host
    expected = hashlib.sha256(b"".join(b"%07d\n" % number for number in range(1, _LINES + 1))).hexdigest()
    whole = 0
    asked = Asked(("sh", "-c", f"exec awk 'BEGIN {{for (i = 1; i <= {_LINES}; i++) printf \"%07d\\n\", i}}'"))
    with serving(given.mode, "web-0", "main", "v5.channel.k8s.io") as way:
        for number in range(1, given.runs + 1):
            began = time.monotonic()
            with opened(way, asked) as conversation:
                rest = conversation.end()  # the right status is its condition
                count, seen = len(rest), hashlib.sha256(rest)
            good = seen.hexdigest() == expected
            whole += good
            took = time.monotonic() - began
            print(
                f"run {number}: {count / 1e6:.1f} MB in {took:.1f} s, {'whole' if good else 'NOT WHOLE'}",
                flush=True,
            )
    print(f"{whole} of {given.runs} whole, {given.mode}")
    return 0 if whole == given.runs else 1


if __name__ == "__main__":
    sys.exit(main())
