"""Describes one line of `dap doctor`."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.cli.console import safe


@dataclass(frozen=True)
class Check:
    """Holds one line. `ok` None: not checked, since something before it failed. `local`: of this machine.
    `note`: good to know, and no failure.
    """

    name: str
    ok: bool | None
    message: str = ""
    advice: str = ""
    ms: float | None = None
    code: str = ""
    local: bool = False
    note: bool = False

    def __str__(self) -> str:
        word = "NOTE" if self.note else {True: "PASS", False: "FAIL", None: "SKIP"}[self.ok]
        time = f"{self.ms:7.0f} ms" if self.ms is not None else " " * 10
        line = f"{word} {safe(self.name):<12}{time}  {safe(self.message)}".rstrip()
        return f"{line}\n     do: {safe(self.advice)}" if self.advice and not self.ok else line


Report = Callable[[Check], None]


def failed(name: str, message: str, advice: str) -> Check:
    """Returns the check of something on this machine that has to be mended."""
    return Check(name, False, message, advice, local=True)


def passed(name: str, message: str) -> Check:
    """Returns the check of something on this machine that is as it should be."""
    return Check(name, True, message, local=True)


def noted(name: str, message: str) -> Check:
    """Returns the check of something on this machine that is good to know."""
    return Check(name, True, message, local=True, note=True)
