"""Measures the gateway against the plain chain it replaces, on the real chain, in one run and side by side.

    .venv/bin/python hack/bench/chain.py [--runs N] [--row NAME]... [--json FILE]

README.md beside this file says what each row is. Exit code 1 when a requirement is not met, 2 when there is nothing
to measure on, 3 when a sample went wrong.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

from conversation import BenchError, Way
from raw import Raw
from report import Result, machine, table
from rows import MEASURES, MIB, Measure, check_content
from served import Served, serving
from support.lab import kubeconfig_access

MODES = {  # the gateway's chains: the setting's `mode` and `exec`
    "plain": ("plain", "kubectl"),
    "relay": ("relay", "kubectl"),
    "api": ("relay", "api"),
}
_POD, _CONTAINER = "web-0", "main"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    given = _parse(argv)
    missing = [
        name for name in ("DAP_LAB", "DAP_LAB_SSH_CONFIG", "DAP_LAB_KUBECONFIG") if not os.environ.get(name)
    ]
    if missing:
        print(
            f"chain.py: needs a real chain: {' and '.join(missing)} not set; see hack/bench/README.md",
            file=sys.stderr,
        )
        return 2
    chosen = [measure for measure in MEASURES if not given.row or measure.name in given.row]
    raw = Raw(
        os.environ["DAP_LAB_SSH_CONFIG"], os.environ.get("DAP_RUNNER_VM", "dap-runner"), _POD, _CONTAINER
    )
    try:
        with ExitStack() as stack:
            gateways = [
                stack.enter_context(serving_way(name, given.subprotocol)) for name in given.mode or MODES
            ]
            results = _measure(chosen, [raw, *gateways, spot()], given.runs, check=not given.row)
    except BenchError as error:
        print(f"chain.py: {error}", file=sys.stderr)
        return 3
    print(f"Medians of {given.runs} runs (least to greatest). {machine()}.\n\n{table(results)}")
    if given.json:
        body = {"machine": machine(), "runs": given.runs, "rows": [result.as_json() for result in results]}
        given.json.write_text(json.dumps(body, indent=1) + "\n")
    return 1 if any(result.missed for result in results) else 0


def serving_way(name: str, subprotocol: str) -> AbstractContextManager[Served]:
    mode, way = MODES[name]
    return serving(mode, _POD, _CONTAINER, subprotocol, {"DAP_RUNNER_EXEC": way}, name)


def spot() -> Served:
    """The API server itself, on the spot: what no way can be faster than."""
    access = kubeconfig_access(os.environ["DAP_LAB_KUBECONFIG"])
    return Served("spot", access.url, "", _POD, _CONTAINER, "v5.channel.k8s.io", access.tls)


def _measure(chosen: Sequence[Measure], ways: list[Way], runs: int, *, check: bool) -> list[Result]:
    """Interleaved: every run takes one sample of each row, one way after the other, and in turns the last first."""
    if check:
        _say("comparing what arrives with what was sent")
        check_content(ways, 16 * MIB)
    found: dict[str, list[Mapping[str, float]]] = {row.name: [] for one in chosen for row in one.rows}
    for number in range(1, runs + 1):
        for measure in chosen:
            _say(f"run {number} of {runs}: {measure.name}")
            for name, values in measure.sample(ways if number % 2 else ways[::-1]).items():
                found[name].append(values)
    return [
        Result(row, {way.name: [values[way.name] for values in found[row.name]] for way in ways})
        for measure in chosen
        for row in measure.rows
    ]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="chain.py", description="The gateway against ssh, incus and kubectl."
    )
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="how often each row is measured (5)")
    names = [measure.name for measure in MEASURES]
    parser.add_argument("--row", action="append", choices=names, help="only this; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    parser.add_argument(
        "--mode",
        action="append",
        choices=list(MODES),
        help="only this chain of the gateway's; may be repeated",
    )
    protocols = ["v5.channel.k8s.io", "v1.dap-gateway"]
    parser.add_argument(
        "--subprotocol", choices=protocols, default=protocols[0], help="what the client speaks"
    )
    given = parser.parse_args(argv)
    if given.runs < 1:
        parser.error("--runs needs a number above 0")
    return given


def _say(text: str) -> None:
    print(f"chain.py: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
