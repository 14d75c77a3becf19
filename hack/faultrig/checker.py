"""What was promised, held against what a client saw. Pure: no clock, no process, no network.

A session's program (program.py) writes lines of two families, each numbered from 0 on: `MARK out N` by itself, and
`MARK in N` for the line N that was typed. `MARK end N` says how many of the first kind it wrote, before it ends itself
with the exit code that was agreed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ESCAPES = re.compile(
    rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[A-Za-z]|\x07"
)  # title, its stack, bell


@dataclass(frozen=True)
class Told:
    """How the end reached the client. `code` is empty when the client was told nothing: its connection just ended."""

    code: str
    hop: str = ""
    exit_code: int | None = None
    after: float = 0.0  # seconds from the fault

    def __str__(self) -> str:
        words = f"{self.hop}/{self.code}" if self.code else "connection lost"
        return words if self.exit_code is None else f"{words} {self.exit_code}"


@dataclass(frozen=True)
class Transcript:
    """All that one client saw. `told` None: the session lived until the rig ended it with `finished` or left it."""

    client: str
    mark: str
    output: bytes
    told: Told | None = None
    before: int = 0  # bytes of the output that had arrived when the hop was broken
    typed: int = 0  # lines that were given to the session
    waits: Told | None = None  # the first hop that it was told its session waits for


@dataclass(frozen=True)
class Promise:
    """What may become of a session. `whole`: it ends by itself, and of its lines, both ways, none may be missing.

    `ends`: HOP/CODE, or the empty text for a connection that just ends; of a session that goes on whole, what it is told
    to wait for. `exit_codes`: what an end by itself may say besides `exit_code`, which is what the program ends with when
    it is asked to.
    """

    ends: frozenset[str] = frozenset()
    within: float = 60.0  # seconds
    whole: bool = False
    exit_code: int = 0
    exit_codes: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Lines:
    """What a family's numbers come to. `broken`: lines that are none of the program's, and numbers out of order."""

    numbers: dict[str, list[int]]
    end: int | None
    broken: tuple[str, ...]


def read(mark: str, output: bytes) -> Lines:
    """Takes the lines apart. What stands behind the last line break may be the beginning of a line, and nothing else."""
    rows = _ESCAPES.sub(b"", output).replace(b"\r\n", b"\n").split(b"\n")
    numbers: dict[str, list[int]] = {"out": [], "in": []}
    end: int | None = None
    broken = []
    for row in rows[:-1]:
        match = re.fullmatch(rf"{re.escape(mark)} (out|in|end) (\d+)", row.decode("ascii", "replace"))
        if match is None:
            broken.append(f"a line of no program: {row[:80]!r}")
        elif match[1] == "end":
            end = int(match[2])
        else:
            numbers[match[1]].append(int(match[2]))
    rest = rows[-1].rstrip(b"\r").decode("ascii", "replace")
    if not any(_begins(f"{mark} {family} ", rest) for family in ("out", "in", "end")):
        broken.append(f"a line of no program at the end: {rest[:80]!r}")
    return Lines(numbers, end, tuple(broken))


def missing(lines: Lines, typed: int | None = None) -> int:
    """Bytes of the numbers that are not there: between those that are, and up to the end where that is known."""
    lost = 0
    for family, top in (("out", lines.end), ("in", typed)):
        there = lines.numbers[family]
        count = top if top is not None else max(there, default=-1) + 1
        lost += sum(len(f"{family} {number}\n") for number in set(range(count)) - set(there))
    return lost


def check(seen: Transcript, promise: Promise) -> list[str]:
    """All that is wrong with one session, a line each; nothing when it kept its promise."""
    lines = read(seen.mark, seen.output)
    found = [*lines.broken, *_order(lines)]
    if len(seen.output) < seen.before:
        found.append(f"{seen.before - len(seen.output)} bytes that had arrived are gone")
    found += _whole(seen, lines, promise) if promise.whole else _ended(seen, promise)
    return [f"{seen.client}: {what}" for what in found]


def check_orphans(left: Iterable[str]) -> list[str]:
    """Each process that lives on is one complaint."""
    return [f"left behind: {line[:160]}" for line in left]


def _begins(whole: str, part: str) -> bool:
    return whole.startswith(part) or (part.startswith(whole) and part[len(whole) :].isdigit())


def _order(lines: Lines) -> list[str]:
    found = []
    for family, numbers in lines.numbers.items():
        due = 0
        for number in numbers:
            if number != due:
                what = "twice, or late" if number < due else "missing before it"
                found.append(f"{family} {number} where {due} was due: {what}")
            due = max(due, number + 1)
    return found[:5]


def _whole(seen: Transcript, lines: Lines, promise: Promise) -> list[str]:
    found = []
    if seen.told is None or seen.told.code != "exited" or seen.told.exit_code != promise.exit_code:
        found.append(f"was to end itself with {promise.exit_code}, and told {seen.told or 'nothing'}")
    if lines.end is None:
        found.append("its last line is missing")
    elif len(set(lines.numbers["out"])) != lines.end:
        found.append(f"{lines.end} lines were written, {len(set(lines.numbers['out']))} arrived")
    if len(lines.numbers["in"]) != seen.typed:
        found.append(f"{seen.typed} lines were typed, {len(lines.numbers['in'])} came back")
    if promise.ends:
        found += _named(seen.waits, promise) if seen.waits else ["was not told which hop it waits for"]
    return found


def _ended(seen: Transcript, promise: Promise) -> list[str]:
    if seen.told is None:
        return ["was told no end"]
    if seen.told.code != "exited":
        return _named(seen.told, promise)
    found = _late(seen.told, promise)
    if seen.told.exit_code not in promise.exit_codes:
        found.append(f"told exit code {seen.told.exit_code}, and the command did not end itself")
    return found


def _named(told: Told, promise: Promise) -> list[str]:
    """The broken hop, by its name and soon."""
    found = _late(told, promise)
    if (f"{told.hop}/{told.code}" if told.code else "") not in promise.ends:
        allowed = ", ".join(sorted(promise.ends)) or "nothing"
        found.append(f"told {told}, where {allowed} was right")
    if told.exit_code is not None:
        found.append(f"told exit code {told.exit_code} with {told.code}")
    return found


def _late(told: Told, promise: Promise) -> list[str]:
    late = told.after > promise.within
    return [f"told after {told.after:.1f} s, {promise.within:g} s are allowed"] if late else []
