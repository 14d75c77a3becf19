"""The pauses that scripts of the far side make between one signal and the next, shortened: all else in them is the same."""

from types import ModuleType

import pytest

from gateway.backends.orphans import search
from gateway.backends.plain import lease_protocol

RELAY = "STEPS = ((signal.SIGHUP, 0.4), (signal.SIGTERM, 0.6), (signal.SIGKILL, 0.0))"  # for its end_steps.py


def lease_pauses(patch: pytest.MonkeyPatch) -> None:
    """A lease sends KILL after eight times 0.1 s, not 0.25; the client of what is gone is ended after 0.5 s, not 2."""
    _replace(
        patch, lease_protocol, "_SCRIPT", "left ]] || break\n    sleep .25", "left ]] || break\n    sleep .1"
    )
    _replace(patch, lease_protocol, "_LOOP", "(sleep 2;", "(sleep 0.5;")


def search_pauses(patch: pytest.MonkeyPatch) -> None:
    """A search has 0.4 s from one signal to the next, not 1 s."""
    _replace(patch, search, "SCRIPT", "[ $n -lt 10 ] && tell", "[ $n -lt 4 ] && tell")


def _replace(patch: pytest.MonkeyPatch, module: ModuleType, name: str, old: str, new: str) -> None:
    text = getattr(module, name)
    assert text.count(old) == 1, (name, old)
    patch.setattr(module, name, text.replace(old, new))
