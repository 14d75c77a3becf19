"""Where the command is that breaks the real chain's hops."""

import os
from pathlib import Path

import pytest

LAB = os.environ.get("DAP_LAB_COMMAND") or str(Path(__file__).parents[3] / "shared" / "lab" / "lab")
LEFT: pytest.StashKey[int] = pytest.StashKey()  # processes that broken hops left behind
