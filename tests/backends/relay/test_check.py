"""Which hop a check names that gets no answer: the one behind the last that answered."""

import asyncio

import pytest

from gateway.backends.relay.check import check
from gateway.errors import HopFailed


class Way:
    """Answers up to `last`, and then never."""

    def __init__(self, last: str) -> None:
        self._left = ["link", "ping", "note", "cluster"]
        self._left = self._left[: self._left.index(last) + 1] if last else []

    async def _answer(self, name: str) -> None:
        if name not in self._left:
            await asyncio.Event().wait()

    async def link(self) -> "Way":
        await self._answer("link")
        return self

    async def ping(self) -> float:
        await self._answer("ping")
        return 0.001

    async def note(self) -> str:
        await self._answer("note")
        return "relay"

    async def get(self, path: str, *, seconds: float) -> dict:
        del path, seconds
        await self._answer("cluster")
        return {}


@pytest.mark.parametrize(
    ("last", "hop", "code"),
    [
        ("", "incus", "runner_timeout"),
        ("link", "incus", "runner_timeout"),
        ("ping", "runner", "runner_timeout"),
        ("note", "cluster", "cluster_unreachable"),
    ],
)
async def test_the_hop_that_hangs(last, hop, code):
    way = Way(last)
    *passed, bad = await check(way.link, way.note, way, 0.1, lambda: None)
    assert all(one.ok for one in passed)
    assert (str(bad.hop), bad.outcome.code) == (hop, code)


async def test_trouble_with_the_host_is_its_own():
    bad = (await check(Way("").link, Way("").note, Way(""), 0.1, lambda: HopFailed("ssh_refused", "no")))[0]
    assert (str(bad.hop), bad.outcome.code) == ("ssh", "ssh_refused")


async def test_all_is_well():
    way = Way("cluster")
    found = await check(way.link, way.note, way, 1.0, lambda: None)
    assert [str(one.hop) for one in found] == ["ssh", "incus", "runner", "cluster"]
    assert all(one.ok for one in found)
