"""Keeps the C library from an arena for each thread: memory that a thread has freed stays in its arena, and a gateway, whose
threads only look up names and read files, held megabytes for them under a long upload.
"""

import ctypes
import os
from contextlib import suppress

_ARENA_MAX = -8  # M_ARENA_MAX (glibc, malloc.h)


def share_one() -> None:
    """Makes all threads share one arena, as the environment variable MALLOC_ARENA_MAX does; a value there wins. Does nothing
    where the C library knows no arenas.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
