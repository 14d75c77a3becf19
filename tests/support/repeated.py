"""What makes a test try its luck again: parameters and examples. The lab's run has all of them."""

import os
from typing import Any

import pytest
from hypothesis import settings

FEW = not os.environ.get("DAP_EXAMPLES")  # set by hack/check-lab
LAB_CHAINS = [pytest.param(f"lab-{way}", marks=pytest.mark.lab) for way in ("plain", "relay", "api")]
SHARE = 5  # of the examples, the first run has one in this many


def again(*values: Any) -> Any:
    """A row of parametrize whose claims other rows hold together: a marked repetition."""
    return pytest.param(*values, marks=pytest.mark.repetition)


def seeds(count: int) -> list[object]:
    """The numbers from 0; all but the first are marked repetitions."""
    return [0, *(again(seed) for seed in range(1, count))]


def examples(count: int = 100, *, random: bool = False) -> settings:
    """Settings of a property: the same examples in each run, or, where it is `random`, others."""
    few = min(max(count // SHARE, 20), count)
    return settings(max_examples=few if FEW else count, derandomize=not random, deadline=None)
