"""Splits a container's log, as the API sends it with timestamps, into lines with their times."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

LONGEST = 1 << 20  # bytes of a line; a longer one comes in pieces of that size
_STAMP = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ", re.ASCII
)  # RFC 3339, as kubelets write it
_STAMP_LONGEST = 40  # bytes


@dataclass(frozen=True, slots=True)
class LogLine:
    """Holds a line of a container's log. `name`: the pod's, with the container's where several are read. `time`: nanoseconds since the epoch, which the node wrote beside the line; 0 where
    it wrote none. `stamp`: that time as the node wrote it. `data`: the line with its line feed, which the last line of a
    container, and a piece of a line that is longer than LONGEST, need not have.
    """

    name: str
    pod: str
    container: str
    time: int
    stamp: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Stamped:
    """Holds a line, or a piece of a long one, which has the time of its line."""

    time: int
    stamp: bytes
    data: bytes


async def stamped(body: AsyncIterator[bytes]) -> AsyncIterator[Stamped]:
    """Yields the lines of `body`. What has no line feed is a line once the body has ended well; raises what `body`
    raises.
    """
    held, time, stamp, inside = b"", 0, b"", False  # inside: of a long line, whose beginning was yielded
    async for part in body:
        held += part
        start = 0
        while (end := held.find(b"\n", start) + 1) or len(held) - start > LONGEST + _STAMP_LONGEST:
            stop = end if end and end - start <= LONGEST + _STAMP_LONGEST else start + LONGEST
            if not inside:
                time, stamp, start = _stamp(held, start, stop)
            yield Stamped(time, stamp, held[start:stop])
            start, inside = stop, stop != end
        held = held[start:]
    if held:
        if not inside:
            time, stamp, start = _stamp(held, 0, len(held))
            held = held[start:]
        yield Stamped(time, stamp, held)


def _stamp(data: bytes, start: int, stop: int) -> tuple[int, bytes, int]:
    """Returns the time at `start`, as number and as bytes, and where the line itself begins."""
    found = _STAMP.match(data, start, stop)
    if not found:
        return 0, b"", start
    try:
        second = _second(found[1], found[3])
    except ValueError:
        return 0, b"", start
    return second * 10**9 + int((found[2] or b"0").ljust(9, b"0")), found[0][:-1], found.end()


@lru_cache(256)
def _second(time: bytes, zone: bytes) -> int:
    return int(datetime.fromisoformat((time + zone).decode()).timestamp())
