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
    """All runs' values of one row, in the order they were taken."""

    row: Row
    raw: list[float]
    gateway: list[float]

    @property
    def medians(self) -> tuple[float, float]:
        """Raw's and the gateway's."""
        return statistics.median(self.raw), statistics.median(self.gateway)

    @property
    def met(self) -> bool | None:
        """The requirement holds for the medians; None where there is none."""
        return self.row.met(*self.medians)

    def cells(self) -> list[str]:
        """One line of the table."""
        of_raw, of_gateway = self.medians
        compared = (
            f"{of_gateway - of_raw:+.2f} ms"
            if self.row.name.startswith("echo")
            else f"{of_gateway / of_raw:.2f}"
        )
        answer = {True: "yes", False: "NO", None: ""}[self.met]
        shown = (_with_range(self.raw), _with_range(self.gateway))
        return [f"{self.row.name}, {self.row.unit}", *shown, compared, self.row.required(), answer]

    def as_json(self) -> dict[str, Any]:
        """Every value, for a closer look."""
        return {
            "row": self.row.name, "unit": self.row.unit, "raw": self.raw, "gateway": self.gateway,
            "medians": list(self.medians), "required": self.row.required(), "met": self.met,
        }  # fmt: skip


def table(results: list[Result]) -> str:
    """Medians, with the least and the greatest of the runs behind them."""
    head = ["", "raw", "gateway", "gateway to raw", "required", "ok?"]
    lines = [head, ["---", *["---:"] * 3, "---", "---"], *(result.cells() for result in results)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """What the numbers belong to."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("asyncssh", "aiohttp", "websockets"))
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {packages}, {raw.version()}"


def _with_range(values: list[float]) -> str:
    digits = 0 if statistics.median(values) >= 100 else 1 if statistics.median(values) >= 10 else 2
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
