"""What is lost: exit codes and last lines of commands that end at once, and bytes of long transfers, read at full speed or by
a client that pauses.

    .venv/bin/python hack/bench/exits.py [--way NAME]... [--commands N] [--at-once N] [--transfers N] [--pauses N] [--seconds S]

Each part of each way stops after so many seconds, and the table says how many there were.
"""

import argparse
import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from chain import MODES, serving_way, spot
from conversation import Asked, BenchError
from rows import MIB, opened
from served import Served

_SIZE = 256 * MIB
_PAUSE = 6.0  # seconds
_FILE = f"/tmp/dap-bench-{_SIZE}"


def main() -> int:
    """The exit code: 1 where something was lost, 2 without a chain."""
    parser = argparse.ArgumentParser(prog="exits.py", description="What is lost of commands and transfers.")
    parser.add_argument(
        "--way", action="append", choices=[*MODES, "spot"], help="may be repeated (api, relay)"
    )
    for name, count in (("commands", 10_000), ("at-once", 40), ("transfers", 100), ("pauses", 20)):
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N", help=f"({count})")
    parser.add_argument("--seconds", type=float, default=480.0, metavar="S", help="for each part (480)")
    given = parser.parse_args()
    if not os.environ.get("DAP_LAB"):
        print("exits.py: needs a real chain; see README.md beside this file", file=sys.stderr)
        return 2
    lost = Counter[str]()
    print("| way | what | how many | wrong |\n| --- | --- | ---: | --- |", flush=True)
    for name in given.way or ("api", "relay"):
        if name == "spot":
            lost += _measure(spot(), given)
        else:
            with serving_way(name, "v5.channel.k8s.io") as way:
                lost += _measure(way, given)
    return 1 if lost else 0


def _measure(way: Served, given: argparse.Namespace) -> Counter[str]:
    lost = Counter[str]()
    if given.commands:
        for what, stdin in (("commands", False), ("commands whose input ends at once", True)):
            run = partial(_command, way, stdin)
            lost += _row(way, what, given.at_once, given.commands, given.seconds, run)
    if given.transfers or given.pauses:
        digest = _in_pod(
            way, f"[ -s {_FILE} ] || head -c {_SIZE} /dev/urandom >{_FILE}; sha256sum {_FILE}"
        ).split()[0]
        for what, count, pause in (("transfers", given.transfers, 0.0), ("pauses", given.pauses, _PAUSE)):
            if count:
                run = _transfer(way, digest, pause)
                lost += _row(way, what, 1, count, given.seconds, run)
        _in_pod(way, f"rm {_FILE}")
    return lost


def _row(
    way: Served, what: str, at_once: int, count: int, seconds: float, run: Callable[[int], str]
) -> Counter[str]:
    """Runs as many as fit into the time; prints what came of them, and returns what was wrong."""
    until = time.monotonic() + seconds

    def one(number: int) -> str | None:
        return _named(run, number) if time.monotonic() < until else None

    with ThreadPoolExecutor(at_once) as pool:
        said = [text for text in pool.map(one, range(count)) if text is not None]
    wrong = Counter(text for text in said if text)
    listed = ", ".join(f"{number} {text}" for text, number in wrong.most_common()) or "0"
    print(f"| {way.name} | {what} | {len(said)} | {listed} |", flush=True)
    return wrong


def _named(run: Callable[[int], str], number: int) -> str:
    try:
        return run(number)
    except (BenchError, OSError) as error:
        return f"failed ({str(error)[:120]})"


def _command(way: Served, stdin: bool, number: int) -> str:
    """Runs a command that writes a last line and ends with a code of its own; returns what was wrong."""
    code, line = 1 + number % 255, b"last %d\n" % number
    asked = Asked(("sh", "-c", f"echo last {number}; exit {code}"), stdin=stdin)
    with opened(way, asked) as conversation:
        if stdin:
            conversation.send_eof()
        rest, status = conversation.finish()
    causes = status.get("details", {}).get("causes", [])
    told = next((one["message"] for one in causes if one.get("reason") == "ExitCode"), status.get("status"))
    if told != str(code):
        return (
            "0 in place of another code" if told == "Success" else f"another code ({status.get('message')})"
        )
    return "" if rest == line else "line lost"


def _in_pod(way: Served, script: str) -> str:
    with opened(way, Asked(("sh", "-c", script))) as conversation:
        conversation.send_eof()
        return conversation.end().decode()


def _transfer(way: Served, digest: str, pause: float) -> Callable[[int], str]:
    """Returns what fetches the file once, and returns what was wrong."""

    def run(_: int) -> str:
        seen = hashlib.sha256()
        with opened(way, Asked(("cat", _FILE))) as conversation:
            conversation.send_eof()
            conversation.fetch(MIB, seen.update)
            time.sleep(pause)
            conversation.fetch(_SIZE - MIB, seen.update)
            rest = conversation.end()
        return "" if not rest and seen.hexdigest() == digest else "other bytes"

    return run


if __name__ == "__main__":
    sys.exit(main())
