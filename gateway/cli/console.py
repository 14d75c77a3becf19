"""Prints what `dap` says about itself: one line each, on stderr, with nothing in it that a terminal would
obey.
"""

import sys
from collections.abc import Mapping
from typing import Any, TextIO


def safe(text: str) -> str:
    """Returns the text as one line of printable characters. What came from outside may hold escape sequences:
    they are shown, not obeyed.
    """
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def say_target(hello: Mapping[str, Any], *, named: bool) -> None:
    """Prints what is to be known of the pod, as that it is not ready, and its namespace for whoever has not named it.
    `hello`: the gateway's first message.
    """
    target, note = hello.get("target") or {}, hello.get("note")
    if isinstance(note, str) and note:
        say(note)
    if not named and target.get("pod") and target.get("namespace"):
        say(f"{target['pod']} in namespace {target['namespace']}, the default there (-n names another)")


def say(message: str, out: TextIO | None = None) -> None:
    """Prints `dap: message` on stderr, or on `out`. A stream that is closed or gone is no reason to fail."""
    try:
        print(f"dap: {safe(message)}", file=out or sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        return
