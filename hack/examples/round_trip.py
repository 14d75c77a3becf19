"""Copies a file into a pod, has the pod count its lines, and copies it back, in a program that blocks:

python hack/examples/round_trip.py web-0 README.md
"""

import sys
import tempfile
from pathlib import Path

from gateway.client import CommandFailed, connect_sync


def main() -> int:
    name, file = sys.argv[1], Path(sys.argv[2])
    with connect_sync() as gateway, tempfile.TemporaryDirectory() as directory:
        pod = gateway.pod(name)
        there = pod.upload(file, "round-trip.txt")
        try:
            counted = pod.run(["wc", "-l", "round-trip.txt"], check=True)
        except CommandFailed as error:
            print(f"{error}: {error.completed.stderr!r}", file=sys.stderr)
            return 1
        back = pod.download("round-trip.txt", Path(directory) / "back")
        print(
            f"{counted.stdout.decode().split()[0]} lines, {back.bytes} bytes, the same: {there.sha256 == back.sha256}"
        )
        with pod.exec(["sh", "-c", "rm round-trip.txt; cat"]) as running:
            running.stdin.write(b"gone\n")
            running.stdin.close()
            print(running.stdout.read().decode(), end="")
            return running.wait()


sys.exit(main())
