"""Spools share a limit, and a disk that is slow delays nobody but who waits for it."""

import os
import random
import threading
import time

import pytest
from support.waiting import becomes

from gateway.relay import wire
from gateway.relay.journal import Journal, JournalFull
from gateway.relay.spool import Spools

MIB = 1 << 20


def whole(one):
    offset, found = one.start, b""
    while record := one.read(offset, 700):
        found += record[1]
        offset += len(record[1])
    return found


def filled(one, size=100):
    """Appends until the journal is full."""
    count = 0
    while True:
        try:
            one.append(1, bytes(size))
        except JournalFull:
            return count * size
        count += 1


@pytest.fixture
def disk(monkeypatch):
    """Clear the event, and writes wait until it is set."""
    real, allowed = os.pwrite, threading.Event()
    allowed.set()

    def pwrite(*what):
        assert allowed.wait(20)
        return real(*what)

    monkeypatch.setattr(os, "pwrite", pwrite)
    yield allowed
    allowed.set()


def test_a_limit_that_was_the_reason_is_known_once_all_was_read():
    spools = Spools(5000, 3000, inline=True)
    first, second = (Journal(200, 100_000, spools=spools, owner="ann") for _ in range(2))
    filled(first)
    filled(second)
    second.drop(second.end)

    assert "the sessions of ann" in second.overrun()["limit"]
    first.discard()


def test_all_journals_share_one_limit_and_those_of_an_owner_another():
    spools = Spools(5000, 3000, inline=True)
    first, second, other = (
        Journal(200, 100_000, spools=spools, owner=owner) for owner in ("ann", "ann", "ben")
    )

    assert 2900 <= filled(first) <= 3400
    assert filled(second) <= 400
    assert "the sessions of ann" in first.limit
    assert "3000 bytes" in second.limit
    assert 1900 <= filled(other) <= 2600
    assert other.overrun()["limit"] == "what all sessions keep on disk may take 5000 bytes"
    assert 4500 <= spools.taken <= 5000
    first.discard()
    assert 1500 <= spools.taken <= 2000
    second.drop(second.end)
    assert filled(second) >= 2900
    for one in (second, other):
        one.discard()
    assert spools.taken == 0


def test_an_owner_without_a_name_has_no_limit_of_its_own():
    spools = Spools(0, 100, inline=True)
    one = Journal(10, 1000, spools=spools)

    assert filled(one) == 1000
    one.discard()


def test_the_newest_is_kept_within_the_common_limit():
    spools = Spools(100_000, inline=True)
    every = os.urandom(1_000_000)
    first, second = (Journal(10_000, MIB, newest=True, spools=spools) for _ in range(2))
    for at in range(0, len(every), 2500):
        for one in (first, second):
            one.append(1, every[at : at + 2500])
            assert every.startswith(one.read(one.start, 5000)[1], one.start)
        assert spools.taken <= 100_000
    for one in (first, second):
        assert whole(one) == every[one.start :]
        assert 40_000 < one.end - one.start < 62_500
    first.discard()
    second.drop(second.end)
    for at in range(0, 100_000, 2500):
        second.append(1, every[at : at + 2500])
    assert second.end - second.start == 100_000, "what the other gave back is there for it"
    second.discard()


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_nothing_is_lost_and_no_limit_passed(seed, inline):
    chance = random.Random(seed)
    spools = Spools(2000, 1500, inline=inline)
    journals = [
        Journal(chance.choice([1, 50, 300]), 1200, newest=newest, spools=spools, owner=owner)
        for owner, newest in (("a", True), ("a", False), ("b", True), ("b", False))
    ]
    written = [b""] * len(journals)
    for _ in range(1500):
        number = chance.randrange(len(journals))
        one = journals[number]
        if chance.random() < 0.3:
            one.drop(one.start + chance.randrange(400))
        elif chance.random() < 0.02:
            one.discard()
            journals[number] = Journal(40, 1200, newest=bool(number % 2), spools=spools, owner="a")
            written[number] = b""
            continue
        else:
            data = chance.randbytes(chance.randrange(120))
            try:
                one.append(1, data)
                written[number] += data
            except JournalFull:
                assert not one._newest
        assert whole(one) == written[number][one.start :]
        assert spools.taken <= 2000
        assert one._spool is None or one._spool._file is None or os.fstat(one._spool._file).st_size <= 1200
    for one in journals:
        one.discard()
    assert spools.taken == 0


def test_a_slow_disk_delays_no_append_and_no_read(disk):
    disk.clear()
    one, every = Journal(1000, 64 * MIB, spools=Spools()), b""
    before = time.monotonic()
    while not one.behind:
        every += os.urandom(65536)
        one.append(1, every[-65536:])
        assert one.read(len(every) - 10) == (1, every[-10:])
    assert time.monotonic() - before < 5
    assert MIB < len(every) < 2 * MIB
    assert one.read(0, 100) == (1, every[:100])
    disk.set()
    assert becomes(lambda: not one.behind, 5)
    assert whole(one) == every
    one.discard()


def test_what_was_dropped_before_the_disk_took_it_costs_no_memory(disk):
    disk.clear()
    one = Journal(1000, 64 * MIB, spools=Spools())
    for _ in range(200):
        one.append(1, bytes(65536))
        one.drop(one.end - 200_000)
    assert not one.behind
    assert one._spool.waiting < 400_000
    disk.set()
    one.append(1, b"last")
    assert whole(one) == bytes(199_996 + 4) + b"last"
    one.discard()


def test_a_disk_that_fails_later_loses_nothing(disk, monkeypatch):
    disk.clear()
    one, every = Journal(1000, MIB, spools=Spools()), os.urandom(200_000)
    for at in range(0, 200_000, 50_000):
        one.append(1, every[at : at + 50_000])
    monkeypatch.setattr(os, "pwrite", lambda *_: os.pread(-1, 1, 0))
    disk.set()
    assert becomes(lambda: one._spool.problem, 5)
    assert whole(one) == every
    with pytest.raises(JournalFull):
        one.append(1, b"x")
    assert one.problem == "Bad file descriptor"
    one.discard()


def test_the_thread_ends_with_its_work():
    one = Journal(10, MIB, spools=Spools())
    one.append(1, bytes(50_000))
    one.append(1, bytes(50_000))
    one.discard()
    assert becomes(lambda: not [1 for thread in threading.enumerate() if thread.name == "dap-writer"], 5)


# in the relay

SLOW = """
_write_at_once = Spool._write

def _write_later(self, *what):
    import time
    while not os.path.exists(os.environ["TMPDIR"] + "/go"):
        time.sleep(0.01)
    _write_at_once(self, *what)

Spool._write = _write_later
"""
TERMINAL = {"tty": [80, 24], "raw": True}


@pytest.mark.parametrize("more", [{}, TERMINAL, {"name": "s", "newest": True, **TERMINAL}])
def test_a_slow_disk_delays_one_command_and_no_other(far, more):
    """What the command had still to say at its end is said, however long the disk took."""
    link, size = far.link(more={"spool": SLOW}, memory=100_000), 3_000_000
    number = link.open("sh", "-c", f"head -c {size} /dev/zero; exit 3", credit=0, **more)
    other = link.open("cat")
    link.until(lambda: link.streams[other].started)
    for count in range(1, 25):  # longer than a command's output is waited for
        link.say(wire.STDIN, other, b"x")
        link.until(lambda n=count: len(link.streams[other].stdout) == n, seconds=1)
        time.sleep(0.1)
    assert link.streams[number].exit is None
    (far.directory / "go").touch()
    link.send(wire.encode_credit(number, 4 * MIB))
    said = link.finish(number)

    assert (len(said.stdout), said.exit) == (size, {"code": 3})
    link.say(wire.END, other)
    link.finish(other)


def test_a_check_of_a_slow_disk_delays_nobody(far):
    link = far.link(
        more={"disk_check": "_PATIENCE = 0.5\ndef nameless_file(directory):\n    time.sleep(3)\n"}
    )
    check = link.ask(check=True)
    before = time.monotonic()
    assert link.run("echo", "hi").stdout == b"hi\n"
    assert link.finish(check).exit == {"error": "Connection timed out", "errno": 110}
    assert time.monotonic() - before < 2.5


def test_output_that_no_longer_fits_at_the_end_is_no_success(far):
    """The last of it is read when the exit code is known already."""
    link = far.link(memory=50_000, capacity=200_000)
    last = "trap '' HUP; head -c 150000 /dev/zero; head -c 60000 /dev/zero & exit 0"  # the end's HUP would stop it
    number = link.open("sh", "-c", last, credit=0)

    assert link.finish(number).exit["full"] is True


def test_what_commands_of_an_owner_keep_has_a_common_limit(far):
    link = far.link(memory=50_000, capacity=400_000, spools=1_000_000, spools_per_owner=500_000)

    def end(owner, size):
        number = link.open("head", "-c", str(size), "/dev/zero", credit=0, owner=owner)
        link.hold.add(number)
        rest.append(number)
        link.until(lambda: link.streams[number].started)
        return number

    rest: list[int] = []
    end("ann", 390_000)
    time.sleep(0.5)
    full = link.finish(end("ann", 300_000)).exit
    assert full == {
        "error": "more output than the journal may hold", "full": True,
        "limit": "what the sessions of ann keep on disk may take 500000 bytes",
    }  # fmt: skip
    link.send(wire.encode_credit(end("ben", 300_000), MIB))
    assert link.finish(rest[-1]).exit == {"code": 0}
    link.send(wire.encode_credit(rest[0], MIB))
    said = link.finish(rest[0])
    assert (len(said.stdout), said.exit) == (390_000, {"code": 0})
