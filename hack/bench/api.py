"""Measures the relayed API on the real chain, side by side with kubectl at the end of the chain, with kubectl straight at
the API server and with `kubectl proxy` alone.

    .venv/bin/python hack/bench/api.py [--row NAME]... [--upload MIB] [--json FILE]

README.md beside this file says what each row is. Exit code 1 when a limit is not met, 2 when there is nothing to measure
on, 3 when a sample went wrong.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

import api_beside
import api_rows
from api_http import Http, connected
from api_rows import MAPS, NAMESPACE, Found, Measure
from api_ways import Ways, ways
from conversation import BenchError
from raw import Raw
from report import machine

_COLUMNS = ("chain", "straight", "proxy", "gateway", "gateway, TLS")
_BIG = 900_000  # bytes of each of
_MAPS = 16  # objects, of which a bulk download is the list


def main() -> int:
    """The exit code."""
    given = _parse()
    missing = [
        name for name in ("DAP_LAB", "DAP_LAB_SSH_CONFIG", "DAP_LAB_KUBECONFIG") if not os.environ.get(name)
    ]
    if missing:
        print(
            f"api.py: needs a real chain: {' and '.join(missing)} not set; see hack/bench/README.md",
            file=sys.stderr,
        )
        return 2
    found: list[Found] = []
    try:
        with ways() as all_, _objects(all_):
            for name, measure in _measures(given.upload).items():
                if not given.row or name in given.row:
                    print(f"api.py: {name}", file=sys.stderr, flush=True)
                    found += measure(all_)
    except BenchError as error:
        print(f"api.py: {error}", file=sys.stderr)
        return 3
    print(f"{machine()}.\n\n{_table(found)}")
    if given.json:
        given.json.write_text(json.dumps([vars(one) for one in found], indent=1) + "\n")
    return 1 if any(one.met is False for one in found) else 0


def _measures(upload: int) -> dict[str, Measure]:
    raw = Raw(
        os.environ["DAP_LAB_SSH_CONFIG"], os.environ.get("DAP_RUNNER_VM", "dap-runner"), "web-0", "main"
    )
    return {
        "get-pods": api_rows.get_pods,
        "exec-true": api_rows.exec_true,
        "rates": api_rows.rates,
        "watch": api_rows.watch_latency,
        "watches": api_rows.watches,
        "echo": partial(api_beside.echo_beside, raw=raw),
        "upload": partial(api_beside.upload, mib=upload),
        "token": api_rows.tokens,
        "cost": api_rows.cost,
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="api.py", description="The relayed API against kubectl without it.")
    parser.add_argument("--row", action="append", choices=_measures(0), help="only this; may be repeated")
    parser.add_argument(
        "--upload", type=int, default=256, metavar="MIB", help="of the slow upload (256; the issue: 8192)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    return parser.parse_args()


@contextmanager
def _objects(all_: Ways) -> Iterator[None]:
    """Makes a namespace with what a bulk download is, for the length of the block."""
    with connected(all_.straight) as api:
        with suppress(BenchError):
            _make(api, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        try:
            for number in range(_MAPS):
                with suppress(BenchError):  # of a run that was ended
                    _make(api, MAPS, {"metadata": {"name": f"big-{number}"}, "data": {"x": "x" * _BIG}})
            yield
        finally:
            api.ask("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def _make(api: Http, path: str, body: dict[str, object]) -> None:
    api.ask("POST", path, json.dumps(body).encode())


def _table(found: list[Found]) -> str:
    lines = [["", *_COLUMNS, "limit", ""], ["---", *["---:"] * len(_COLUMNS), "---:", "---"]]
    for one in found:
        name = f"{one.name}, {one.unit}" if one.unit else one.name
        cells = [_number(one.values[way]) if way in one.values else "" for way in _COLUMNS]
        lines.append([name, *cells, one.limit, {True: "met", False: "NO", None: ""}[one.met]])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
