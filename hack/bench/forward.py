"""Measures forwarded ports on the real chain: `dap port-forward` through a gateway, beside the chain as people type it,
beside kubectl's port-forward in the runner and beside kubectl's on this machine, straight at the API server.

    .venv/bin/python hack/bench/forward.py [--runs N] [--row NAME]... [--json FILE]

README.md beside this file says what each row is. Exit code 1 when a limit is not met, 2 when there is nothing to measure
on, 3 when a sample went wrong.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

import forward_ways
from conversation import BenchError
from forward_ways import ECHO, SINK, SIZE, SOURCE, Connection, Open
from report import Result, machine, table
from rows import MIB, Bound, Row

_CONNECTIONS, _ABREAST, _OPEN = 100, 10, 200
_LEAST = {"gateway": Bound(least=1.0)}
_CONNECTED = Row("connections", "/s", bounds=_LEAST)
_BULK = (Row("download", "MB/s", bounds=_LEAST), Row("upload", "MB/s", bounds=_LEAST))


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code. What was started ends in any case: SIGTERM is an exit like others."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    given = _parse(argv)
    missing = [name for name in ("DAP_LAB_SSH_CONFIG", "DAP_LAB_KUBECONFIG") if not os.environ.get(name)]
    if missing:
        print(f"forward.py: needs a real chain: {' and '.join(missing)} not set", file=sys.stderr)
        return 2
    try:
        tables, opened = _measure(given.row, given.runs)
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        print(f"forward.py: {error}", file=sys.stderr)
        return 3
    print(f"Medians of {given.runs} runs (least to greatest). {machine()}.")
    for results in tables:
        print(f"\n{table(results)}")
    if opened:
        print(f"\n{_OPEN} connections open at once through the gateway: all answered after {opened:.1f} s")
    results = [result for results in tables for result in results]
    if given.json:
        given.json.write_text(json.dumps([result.as_json() for result in results], indent=1) + "\n")
    return 1 if any(result.missed for result in results) else 0


def _measure(chosen: list[str], runs: int) -> tuple[list[list[Result]], float]:
    """Returns the rows of each table, and the seconds that `_hold` took. The first way is what is compared with: where
    connections are opened, kubectl's port-forward in the runner, for bytes the chain as people type it.
    """
    with ExitStack() as stack:
        stack.enter_context(forward_ways.servers())
        listening = {
            "device": stack.enter_context(forward_ways.device()),
            "straight": stack.enter_context(forward_ways.straight()),
            "gateway": stack.enter_context(forward_ways.gateway()),
        }
        pipes: dict[str, Open] = {"chain": forward_ways.chain, "carried": forward_ways.carried}
        tables = []
        for rows, ways in (([_CONNECTED], listening), (_BULK, pipes | listening)):
            results = [_measured(row, ways, runs) for row in rows if not chosen or row.name in chosen]
            tables += [results] if results else []
        return tables, _hold(listening["gateway"]) if not chosen else 0.0


def _measured(row: Row, ways: dict[str, Open], runs: int) -> Result:
    """All ways in each run, one right after the other, and in turns the last first."""
    sample = {"connections": _connections, "download": _download, "upload": _upload}[row.name]
    values: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(runs):
        print(f"forward.py: {row.name}, run {number + 1} of {runs}", file=sys.stderr, flush=True)
        for name in list(ways) if number % 2 else reversed(ways):
            try:
                values[name].append(sample(ways[name]))
            except (BenchError, OSError) as error:
                raise BenchError(f"{name}: {error}") from None
    return Result(row, values)


def _connections(open_: Open) -> float:
    def one(_: int) -> None:
        with closing(open_(ECHO)) as connection:
            _echoed(connection)

    began = time.perf_counter()
    with ThreadPoolExecutor(_ABREAST) as pool:
        list(pool.map(one, range(_CONNECTIONS)))
    return _CONNECTIONS / (time.perf_counter() - began)


def _download(open_: Open) -> float:
    """From the first byte to the last one: not to the end, which containerd tells a second later."""
    with closing(open_(SOURCE)) as connection:
        connection.fetch(1)
        began = time.perf_counter()
        connection.fetch(SIZE - 1)
        return SIZE / 1e6 / (time.perf_counter() - began)


def _upload(open_: Open) -> float:
    """From the first byte to the answer of who has counted the last one."""
    part = bytes(MIB)
    with closing(open_(SINK)) as connection:
        began = time.perf_counter()
        for _ in range(SIZE // MIB):
            connection.send(part)
        answer = connection.until(b"\n")
        if int(answer) != SIZE:
            raise BenchError(f"{answer!r} bytes arrived of {SIZE}")
        return SIZE / 1e6 / (time.perf_counter() - began)


def _hold(open_: Open) -> float:
    """Returns the seconds until as many connections as may be are open and have echoed."""
    began = time.perf_counter()
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(open_(ECHO))) for _ in range(_OPEN)]
        for connection in connections:
            _echoed(connection)
        return time.perf_counter() - began


def _echoed(connection: Connection) -> None:
    connection.send(b"hello")
    connection.until(b"hello")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="forward.py", description="Forwarded ports, beside kubectl's.")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="how often each row is measured (5)")
    names = [row.name for row in (_CONNECTED, *_BULK)]
    parser.add_argument("--row", action="append", choices=names, help="only this; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
