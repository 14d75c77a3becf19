"""`hack/faults`: plays the rows, prints the table, exits 1 when a promise was broken, 2 when it could not play."""

import argparse
import asyncio
import json
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from faultrig import report
from faultrig.back import check_back, stock
from faultrig.crowd import OPEN, use
from faultrig.faults import FAULTS, Fault
from faultrig.kept import Kept
from faultrig.lab import Lab, LabError
from faultrig.loads import LOADS, Load, bear, faketime
from faultrig.parts import Place, Played
from faultrig.rounds import play
from faultrig.served import Serve, ServeError
from faultrig.soak import opens, soak

_LAB = Path(__file__).resolve().parents[3] / "shared" / "lab" / "lab"
_CHAINS = ("plain", "relay")
_Row = TypeVar("_Row", Fault, Load)


def duration(text: str) -> float:
    """Of 90s, 10m, 2h. Raises ValueError."""
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1:]] if text[-1:] in "smh" else float(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hack/faults", description="Breaks every hop under live sessions.")
    parser.add_argument("--runs", type=int, default=1, help="of each row (default 1)")
    parser.add_argument(
        "--seed", default=secrets.token_hex(4), help="of all that is random; fresh, and printed"
    )
    parser.add_argument(
        "--fault", action="append", choices=[row.name for row in (*FAULTS, *LOADS)], help="only this; repeat"
    )
    parser.add_argument("--chain", action="append", choices=_CHAINS, help="only this; repeat (default both)")
    parser.add_argument(
        "--abreast", type=int, default=1, metavar="N",
        help="so many runs at once, which share the fault and have gateways of their own (default 1)",
    )  # fmt: skip
    parser.add_argument("--soak", type=duration, metavar="10m", help="a random mix for so long, not each row")
    parser.add_argument(
        "--opens", type=int, metavar="N", help="open N sessions and cut half of them at random"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything there")
    return parser.parse_args()


def _unplayable() -> dict[str, str]:
    """Rows that this machine cannot play, and why."""
    found = {}
    if os.geteuid() or not shutil.which("iptables"):
        found["client-vanish"] = "packets vanish by iptables, as root"
    if not faketime():
        found["clock-jump"] = "another clock is shown by libfaketime (Debian: libfaketime)"
    return found


async def _keeps(serve: Serve) -> bool:
    """The chain keeps terminals: hello says so."""
    client = Kept(serve.access, "rigkeeps")
    await use(client, OPEN)
    end = time.monotonic() + OPEN
    while not serve.closed(0) and time.monotonic() < end:  # noqa: ASYNC110  # a row would take that end for its own
        await asyncio.sleep(0.1)
    return client.resume is not None


@asynccontextmanager
async def _place(chain: str, lab: Lab) -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory(prefix="dap-faults-") as directory:
        serve = Serve(chain, Path(directory))
        try:
            await serve.start()
            place = Place(serve, lab)
            place.keeps = await _keeps(serve)
            if chain == "relay" and not place.keeps:
                print("resume rows are not played: the gateway keeps no terminals", file=sys.stderr)
            yield place
        finally:
            await serve.appear()
            await serve.end()


def _tell(played: Played) -> None:
    print(report.line(played), file=sys.stderr, flush=True)
    for complaint in played.complaints:
        print(f"  {complaint} [{played.seed}]", file=sys.stderr, flush=True)


async def _main(asked: argparse.Namespace) -> int:
    lab = Lab(os.environ.get("DAP_FAULT_CMD") or f"{_LAB} fault")
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"seed {asked.seed}", file=sys.stderr, flush=True)
    done: list[Played] = []
    try:
        async with AsyncExitStack() as stack:
            chains = [chain for chain in _CHAINS if chain in (asked.chain or _CHAINS)] * asked.abreast
            places = [await stack.enter_async_context(_place(chain, lab)) for chain in chains]
            await _play(asked, places, done)
    finally:  # what was played counts when the rest is given up, too
        print(
            f"{began}, seed {asked.seed}\n\n{report.table(done)}\n\nNot played:\n{report.unplayed(_unplayable())}",
            flush=True,
        )
        if asked.json:
            asked.json.write_text(json.dumps(report.as_json(done, asked.seed, began), indent=1) + "\n")
    if not done:
        raise LabError("nothing of that can be played here, for the reasons above")
    return int(any(played.complaints for played in done))


async def _play(asked: argparse.Namespace, places: list[Place], done: list[Played]) -> None:
    def note(played: list[Played]) -> None:
        done.extend(played)
        for one in played:
            _tell(one)

    for place in places if asked.opens else ():
        rng = random.Random(f"{asked.seed}/{place.serve.mode}")
        note([await opens(place, asked.opens, rng, asked.seed)])
    before = [(place, await stock(place)) for place in places]
    if asked.soak and not _asked(asked, FAULTS):
        raise LabError("a soak is of rows that break a hop: name one of those")
    if asked.soak:
        await soak(places, _asked(asked, FAULTS), asked.soak, asked.seed, note)
    for number in range(0 if asked.opens or asked.soak else asked.runs):
        await _rows(asked, places, number, note)
    for place, began in () if asked.opens else before:
        played = Played("afterwards", place.serve.mode, asked.seed)
        await check_back(place, began, played)
        note([played])


def _asked(asked: argparse.Namespace, rows: Iterable[_Row]) -> list[_Row]:
    here = _unplayable()
    return [row for row in rows if row.name in (asked.fault or [row.name]) and row.name not in here]


async def _rows(
    asked: argparse.Namespace, places: list[Place], number: int, note: Callable[[list[Played]], None]
) -> None:
    """Each row once."""
    for fault in _asked(asked, FAULTS):
        there = [place for place in places if place.keeps or not fault.resumes]  # who else would attach again
        if there:
            note(await play(fault, there, f"{asked.seed}/{fault.name}/{number}"))
    for load in _asked(asked, LOADS):
        there = [place for place in places if place.keeps or not load.keeps]
        if load.alone:
            there = list({place.serve.mode: place for place in there}.values())
        seed = f"{asked.seed}/{load.name}/{number}"
        if there:
            note(await bear(load, there, seed))


def main() -> int:
    """The exit status."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its gateways end with it
    if "DAP_RUNNER_SSH_HOST" not in os.environ:
        print("hack/faults: no chain: set DAP_RUNNER_SSH_HOST and its kind", file=sys.stderr)
        return 2
    try:
        return asyncio.run(_main(asked))
    except* (LabError, ServeError) as group:
        print(f"hack/faults: {group.exceptions[0]}", file=sys.stderr)
    except* KeyboardInterrupt:
        print("hack/faults: given up", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
