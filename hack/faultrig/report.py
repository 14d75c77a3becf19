"""What the rounds come to: a table in Markdown, and the same as JSON."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from faultrig.faults import UNPLAYED
from faultrig.parts import Played

_HEAD = ("fault", "chain", "runs", "detected after", "outcome", "orphans", "lost bytes", "")


def table(rounds: Iterable[Played]) -> str:
    """One line for each fault and chain, in the order they were first played."""
    groups: dict[tuple[str, str], list[Played]] = {}
    for played in rounds:
        groups.setdefault((played.fault, played.chain), []).append(played)
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(*key, group) for key, group in groups.items())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def unplayed(here: Mapping[str, str]) -> str:
    """The rows of the fault list that are not played, and why; and those by name that are not played `here`."""
    return "\n".join(f"{rows}: {why}" for rows, why in (UNPLAYED | dict(here)).items())


def as_json(rounds: Iterable[Played], seed: str, began: str) -> dict[str, Any]:
    """Every round, for a closer look."""
    played = [vars(one) | {"outcomes": dict(one.outcomes)} for one in rounds]
    return {"seed": seed, "began": began, "rounds": played, "unplayed": UNPLAYED}


def line(played: Played) -> str:
    """One round, as soon as it is over."""
    return " · ".join(_row(played.fault, played.chain, [played]))


def _row(fault: str, chain: str, group: list[Played]) -> tuple[str, ...]:
    times = [after for played in group for after in played.detected]
    outcomes: Counter[str] = Counter()
    for played in group:
        outcomes.update(played.outcomes)
    detected = f"{statistics.median(times):.1f} s (≤ {max(times):.1f})" if times else "-"
    failed = sum(bool(played.complaints) for played in group)
    extra = sum(played.unpromised for played in group)
    return (
        fault, chain, str(len(group)), detected,
        ", ".join(f"{count} {what}" for what, count in outcomes.most_common()) or "-",
        f"{sum(played.orphans for played in group)}" + (f" (+{extra} of kubectl's kind)" if extra else ""),
        str(sum(played.lost for played in group)), f"{failed} FAILED" if failed else "ok",
    )  # fmt: skip
