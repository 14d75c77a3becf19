"""What a relay says of its sessions is checked where it comes in."""

import asyncio

import pytest

from gateway.backends.relay.session_registry import SessionRegistry
from gateway.errors import HopFailed

ROW = {"name": "5e55104e5e55104e", "note": {"verb": "exec"}, "seen": 1, "start": 0, "end": 5, "received": 7}


class Listing:
    """A link, as far as its list goes."""

    lost = None

    def __init__(self, *rows):
        self.rows = rows

    async def named(self):
        return list(self.rows)


async def found(*rows):
    registry = SessionRegistry()
    await registry.linked(Listing(*rows))
    async with asyncio.timeout(5):
        return await anext(aiter(registry.found()))


async def test_a_row_is_a_session_that_can_be_recovered():
    (one,) = await found(ROW)

    assert (one.name, one.note, one.seen, one.start, one.end, one.received) == (
        ROW["name"],
        ROW["note"],
        1,
        0,
        5,
        7,
    )


@pytest.mark.parametrize("key", ["seen", "start", "end", "received"])
@pytest.mark.parametrize(
    "value", [float("inf"), 1.5, -1, 1 << 63, 10**400, "1", None, True, [], {}], ids=repr
)
async def test_an_offset_that_is_none_ends_the_link_by_name(key, value):
    with pytest.raises(HopFailed, match="a line of its list"):
        await found({**ROW, key: value})


@pytest.mark.parametrize(
    "name", [None, 3, "", "a/b", "a b", "a\n", "../x", "x" * 65, "\ud800", "é"], ids=ascii
)
async def test_a_name_that_is_none_ends_the_link_by_name(name):
    with pytest.raises(HopFailed, match="a line of its list"):
        await found({**ROW, "name": name})


async def test_a_note_that_is_none_is_an_empty_one():
    """The session is discarded then, by whoever recovers it."""
    for note in (None, 3, "x", []):
        assert (await found({**ROW, "note": note}))[0].note == {}
