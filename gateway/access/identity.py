"""Who a user is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """Who asks, and how that was proved: `token`, `page` or `uid`."""

    name: str
    proof: str
    groups: tuple[str, ...] = ()
