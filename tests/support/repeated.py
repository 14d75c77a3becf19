"""Parameters that make a test try its luck again."""

from typing import Any

import pytest


def again(*values: Any) -> Any:
    """A row of parametrize whose claims other rows hold together: a marked repetition."""
    return pytest.param(*values, marks=pytest.mark.repetition)


def seeds(count: int) -> list[object]:
    """The numbers from 0; all but the first are marked repetitions."""
    return [0, *(again(seed) for seed in range(1, count))]
