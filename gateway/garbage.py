"""Sets how often Python looks for garbage. What imports make stays to the end, and to look through it took a quarter of the
processor time of a short command.
"""

import gc

_USUAL = gc.get_threshold()
_SELDOM = (
    100_000  # new objects between two looks: a few looks while the whole gateway is imported, not hundreds
)


def look_seldom() -> None:
    """Lets a command import what it needs almost without a look."""
    gc.set_threshold(_SELDOM)


def look_as_usual() -> None:
    """Makes a gateway, once it is imported, drop its garbage as soon as any program does."""
    gc.set_threshold(*_USUAL)


def look_no_more() -> None:
    """Spares a process that ends the looks of Python's own end: the kernel takes all."""
    gc.freeze()
