"""What the samples come to: a table in Markdown, the same as JSON, and what they were taken on."""

import os
import platform
import statistics
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import raw
from rows import Row


@dataclass(frozen=True)
class Result:
    """All runs' values of one row, by way, in the order they were taken. The first way is what is compared with."""

    row: Row
    values: dict[str, list[float]]

    @property
    def medians(self) -> dict[str, float]:
        """By way."""
        return {way: statistics.median(values) for way, values in self.values.items()}

    @property
    def missed(self) -> bool:
        """A requirement does not hold for the medians."""
        return any(self._answer(way) == " NO" for way in self.values)

    def cells(self) -> list[str]:
        """One line of the table."""
        raw, *others = self.values
        cells = [f"{self.row.name}, {self.row.unit}", _with_range(self.values[raw])]
        for way in others:
            bound = self.row.bounds.get(way)
            required = f" ({bound}{self._answer(way)})" if bound else ""
            cells += [_with_range(self.values[way]), self._compared(raw, way) + required]
        return cells

    def as_json(self) -> dict[str, Any]:
        """Every value, for a closer look."""
        required = {way: str(bound) for way, bound in self.row.bounds.items()}
        return {
            "row": self.row.name, "unit": self.row.unit, "values": self.values, "medians": self.medians,
            "required": required, "met": not self.missed,
        }  # fmt: skip

    def _compared(self, raw: str, way: str) -> str:
        of_raw, of_way = self.medians[raw], self.medians[way]
        return f"{of_way - of_raw:+.2f}" if self.row.difference else f"{of_way / of_raw:.2f}"

    def _answer(self, way: str) -> str:
        bound = self.row.bounds.get(way)
        return " NO" if bound and not bound.met(next(iter(self.medians.values())), self.medians[way]) else ""


def table(results: list[Result]) -> str:
    """Medians, with the least and the greatest of the runs behind them."""
    raw, *others = results[0].values
    head = ["", raw, *(cell for way in others for cell in (way, f"{way} to {raw}"))]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *(result.cells() for result in results)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """What the numbers belong to."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("asyncssh", "aiohttp", "websockets"))
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {packages}, {raw.version()}"


def _with_range(values: list[float]) -> str:
    digits = 0 if statistics.median(values) >= 100 else 1 if statistics.median(values) >= 10 else 2
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
