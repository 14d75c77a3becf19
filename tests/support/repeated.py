"""Parameters that make a test try its luck again."""

import pytest


def seeds(count: int) -> list[object]:
    """The numbers from 0; all but the first are marked repetitions."""
    return [0, *(pytest.param(seed, marks=pytest.mark.repetition) for seed in range(1, count))]
