"""Lines of a log, their times, and what is told apart by them."""

import pytest

from gateway.client.logs.lines import LONGEST, stamped
from gateway.client.logs.position import Position

SECOND = 10**9


async def parsed(*parts):
    async def body():
        for part in parts:
            yield part

    return [(one.time, one.data) async for one in stamped(body())]


async def test_lines_and_times():
    text = b"2026-01-01T00:00:01.5Z a\n2026-01-01T01:00:01.000000002+01:00 b c\n2026-01-01T00:00:00Z \nno time\n2026-01-01T00:00:00Z end"
    begin = 1767225600 * SECOND
    lines = [(begin + 1_500_000_000, b"a\n"), (begin + 1_000_000_002, b"b c\n"), (begin, b"\n"), (0, b"no time\n"), (begin, b"end")]  # fmt: skip
    assert await parsed(text) == lines
    assert await parsed(*(text[at : at + 1] for at in range(len(text)))) == lines
    assert await parsed(b"2026-99-01T00:00:01Z a") == [(0, b"2026-99-01T00:00:01Z a")]


@pytest.mark.parametrize("size", [64 * 1024, 1 << 30])
async def test_a_long_line_comes_in_the_same_pieces_however_it_arrives(size):
    text = b"2026-01-01T00:00:00Z " + b"x" * (2 * LONGEST) + b"\n2026-01-01T00:00:01Z next\n"
    lines = await parsed(*(text[at : at + size] for at in range(0, len(text), size)))
    assert [len(data) for _, data in lines] == [LONGEST - 21, LONGEST + 22, 5]
    assert len({time for time, _ in lines[:2]}) == 1


def test_what_was_taken_is_told_apart_after_many_lines():
    position, begin = Position(), 1767225600 * SECOND
    times = [begin + number // 2 * 10_000_000 for number in range(10_000)]
    assert all(position.take(time) for time in times)
    position.begin()
    since = position.since
    assert since == "2026-01-01T00:00:47Z"
    again = [time for time in times if time >= begin + 47 * SECOND]
    assert not any(position.take(time) for time in again)
    assert (position.take(times[-1]), position.take(begin), position.take(0)) == (True, False, True)
