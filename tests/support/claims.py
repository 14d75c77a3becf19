"""Several claims about one thing that is dear to make, each of which is reported by itself."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest


async def each_holds(
    subtests: pytest.Subtests,
    claims: Iterable[Callable[..., Awaitable[None]]],
    call: Callable[[Any], Awaitable[None]],
) -> None:
    """Calls each claim with what it needs, by `call`; one that fails hides no later one."""
    for claim in claims:
        with subtests.test(claim.__name__):
            await call(claim)
