#!/usr/bin/env python3
"""Runs pytest with the arguments, and each test that failed, where they are few, three times more: by itself.

Thousands of tests side by side on two processors wait for hundreds of programs, and now and then one meets a limit
that it never meets alone. Such a test is named; one that fails by itself only once fails the run. A property that
failed is not tried again: its example, which the next try may not find, is the proof.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

FEW, TIMES = 2, 3
FAILED = 1  # pytest's exit status when tests failed, and nothing else went wrong


def main() -> int:
    """Returns pytest's exit status, or 0 where what failed passed by itself each time."""
    with TemporaryDirectory(prefix="dap-tests-") as cache:  # its own: another run may go on beside this one
        status = pytest("-o", f"cache_dir={cache}", *sys.argv[1:])
        if status != FAILED:
            return status
        failed = list(json.loads(Path(cache, "v/cache/lastfailed").read_text("utf-8")))
    if len(failed) > FEW:
        return status
    for test in failed:
        for _ in range(TIMES):
            if pytest("-q", "-n0", "-m", "not hypothesis", test):  # where no test is left, pytest fails
                return status
        print(f"== FAILED BESIDE OTHERS, passed {TIMES} times by itself: {test}", flush=True)
    return 0


def pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
