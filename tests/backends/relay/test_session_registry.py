"""What a relay says of its sessions is checked where it comes in."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from gateway.access.identity import Identity
from gateway.backends.relay import live_sessions
from gateway.backends.relay.live_sessions import LiveSessions
from gateway.backends.relay.seal import Seal
from gateway.backends.relay.session_registry import SessionRegistry
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target
from gateway.relay import wire
from gateway.sessions.record import SessionRecord

ROW = {"name": "5e55104e5e55104e", "note": {"verb": "exec"}, "seen": 1, "start": 0, "end": 5, "received": 7}


SEAL = Seal(b"k" * 32, "prod")


def signed(row, seal=SEAL):
    return {**row, "note": seal.sign(row["name"], row["note"])}


class Listing:
    """A link, as far as its list goes."""

    lost = None
    number = 1

    def __init__(self, *rows):
        self.rows = rows
        self.ended = []

    async def named(self):
        return list(self.rows)

    def open(self, request):
        self.ended.append(request["attach"])
        return self

    def send(self, frame):
        assert frame[0] == wire.END

    def forget(self, stream):
        assert stream is self


def registry_with(*names):
    """A registry that has seen the beginning of these, and no end."""
    live = LiveSessions()
    for name in names:
        live.add(name)
    return SessionRegistry(SEAL, "prod", live)


async def found(*rows):
    registry = registry_with(ROW["name"])
    await registry.linked(Listing(*rows))
    async with asyncio.timeout(5):
        return await anext(aiter(registry.found()))


async def test_a_row_is_a_session_that_can_be_recovered():
    (one,) = await found(signed(ROW))

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


SHELL = Command((), "exec", stdin=True, stdout=True, tty=True, session=ROW["name"])
RECORD = SessionRecord(Identity("me", "token"), Target("prod", "ns", "pod"), SHELL, ("a" * 64,)).body()
SIGNED = SEAL.sign(ROW["name"], RECORD)


def forged(path, value):
    """A signed record of which one thing was changed afterwards."""
    note = json.loads(json.dumps(SIGNED))
    where = note
    for key in path[:-1]:
        where = where[key]
    where[path[-1]] = value
    return note


@pytest.mark.parametrize(
    "note",
    [
        None,
        3,
        "x",
        [],
        {},
        RECORD,  # as the version before wrote it
        forged(["identity", 0], "root"),
        forged(["target", 2], "db-0"),
        forged(["target", 0], "test"),
        forged(["argv"], ["sh"]),
        forged(["secrets", 0], "b" * 64),
        forged(["counted"], True),
        forged(["opened"], 1.0),
        forged(["more"], 1),
        forged(["mac"], None),
        forged(["mac"], "é"),
        forged(["mac"], "0" * 64),
        SEAL.sign("another", RECORD),
        Seal(b"k" * 32, "test").sign(ROW["name"], RECORD),
        Seal(b"x" * 32, "prod").sign(ROW["name"], RECORD),
    ],
    ids=map(str, range(20)),
)
async def test_what_this_gateway_has_not_signed_is_ended_and_offered_to_nobody(note):
    link, registry = Listing({**ROW, "note": note}), registry_with(ROW["name"])
    with capture_logs() as logs:
        await registry.linked(link)
        assert await anext(aiter(registry.found())) == []
    assert link.ended == [ROW["name"]]
    assert [(line["event"], line["session"], line["count"]) for line in logs] == [
        ("session_discarded", ROW["name"], 1)
    ]


async def test_a_signed_record_is_the_one_that_was_signed_however_it_is_written():
    shuffled = json.loads(json.dumps(dict(reversed(SIGNED.items())), indent=1))
    (one,) = await found({**ROW, "note": shuffled})
    assert one.note == RECORD


async def test_many_that_nobody_signed_are_one_line():
    rows = [{**ROW, "name": f"planted-{number}"} for number in range(1000)]
    link = Listing(*rows, signed(ROW))
    registry = registry_with(ROW["name"])
    with capture_logs() as logs:
        await registry.linked(link)
    assert [one.name for one in await anext(aiter(registry.found()))] == [ROW["name"]]
    assert (len(logs), logs[0]["count"], len(link.ended)) == (1, 1000, 1000)


async def test_a_signed_row_of_a_session_that_has_ended_is_believed_no_more():
    """Whether an earlier process of this gateway saw the end, or this one, or decided upon it."""
    other = {**ROW, "name": "another"}
    link, registry = Listing(signed(ROW), signed(other)), registry_with(ROW["name"])
    with capture_logs() as logs:
        await registry.linked(link)
        assert [one.name for one in await anext(aiter(registry.found()))] == [ROW["name"]]
        registry.discard(ROW["name"], None)
        registry._unwanted.clear()  # the relay has said that it is gone
        await registry.linked(link)
    assert link.ended == ["another", ROW["name"], "another"]
    reason = "the gateway has seen its end before"
    assert [(line["session"], line["count"], line["reason"]) for line in logs] == [
        ("another", 1, reason), (ROW["name"], 2, reason),
    ]  # fmt: skip


def test_the_names_of_live_sessions_are_there_for_the_next_process(tmp_path, monkeypatch):
    path = tmp_path / "relay-sessions"

    def names():
        one = LiveSessions(path)
        one.close()
        return list(one._names)

    assert names() == []
    first = LiveSessions(path)
    for name in ("a", "b", "c"):
        first.add(name)
    first.remove("b")
    first.remove("never there")
    first.close()
    assert names() == ["a", "c"]
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(
        path.read_bytes() + b"\xff\n+d\n-a\n+hal"
    )  # a line that was cut is another name, of no session
    assert names() == ["c", "d", "hal"]
    monkeypatch.setattr(live_sessions, "_MOST", 3)
    monkeypatch.setattr(live_sessions, "_LINES", 20)
    second = LiveSessions(path)
    for number in range(100):
        second.add(f"s{number}")
        second.add("s0")
    second.close()
    assert names() == list(second._names)
    assert set(second._names) == {"s98", "s99", "s0"}, "the oldest go"
    assert len(path.read_text().splitlines()) <= 21


def test_a_file_of_live_sessions_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "relay-sessions").mkdir()
    with capture_logs() as logs:
        one = LiveSessions(tmp_path / "relay-sessions")
        one.add("a")
        one.close()
    assert "a" in one
    assert [line["event"] for line in logs] == ["live_sessions_not_kept"]
