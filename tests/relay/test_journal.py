"""The journal against a plain list of bytes, with small sizes that make it spill and go round."""

import ast
import itertools
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import leaks
from support.repeated import examples

from gateway.relay import journal
from gateway.relay.journal import Journal, JournalFull


def contents(one: Journal, offset: int | None = None, limit: int = 32768) -> list[tuple[int, bytes]]:
    offset, found = one.start if offset is None else offset, []
    while record := one.read(offset, limit):
        assert 0 < len(record[1]) <= limit
        found.append(record)
        offset += len(record[1])
    assert offset == one.end
    return found


def whole(one: Journal) -> bytes:
    return b"".join(data for _, data in contents(one))


@pytest.fixture
def made():
    """`made(...)` is a Journal; its file is closed at the end."""
    journals: list[Journal] = []

    def make(*args, **kwargs) -> Journal:
        journals.append(Journal(*args, **kwargs))
        return journals[-1]

    yield make
    for one in journals:
        one.discard()


def test_an_empty_one_has_nothing(made):
    one = made()

    assert (one.start, one.end, one.read(0), one.closed) == (0, 0, None, False)


def test_no_bytes_are_no_record(made):
    one = made()
    one.append(1, b"")

    assert (one.end, one.read(0)) == (0, None)


def test_a_change_of_stream_costs_a_few_bytes(made):
    """A command may change it with every byte: 4 MB of that cost 400 MB once."""
    one, count = made(1 << 20, 64 << 20), 5_000
    tracemalloc.start()
    try:
        for index in range(count):
            one.append(1 + index % 2, b"x")
        size, _ = tracemalloc.get_traced_memory()
        assert size < count * 12
        for _ in range(count // 2):
            record = one.read(one.start)
            assert record == (1 + one.start % 2, b"x")
            one.drop(one.start + 1)
        one.drop(count - 1)
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()
    assert contents(one) == [(1 + (count - 1) % 2, b"x")]


def test_a_record_never_holds_two_streams(made):
    one = made()
    for stream, data in ((1, b"out"), (1, b"put"), (2, b"err"), (1, b"more")):
        one.append(stream, data)

    assert contents(one) == [(1, b"output"), (2, b"err"), (1, b"more")]
    assert one.read(4) == (1, b"ut")
    assert one.read(6, 2) == (2, b"er")


def test_offsets_outside_are_a_mistake(made):
    one = made()
    one.append(1, b"abc")
    one.drop(2)

    for offset in (-1, 1, 4):
        with pytest.raises(ValueError, match=f"no offset {offset}"):
            one.read(offset)
    assert one.read(3) is None


def test_drop_goes_forward_and_not_past_the_end(made):
    one = made()
    one.append(1, b"abc")
    one.drop(2)
    one.drop(1)
    assert one.start == 2
    one.drop(99)
    assert (one.start, one.end) == (3, 3)


def test_after_close_there_is_reading_and_no_appending(made):
    one = made()
    one.append(1, b"abc")
    one.close()
    one.close()

    assert whole(one) == b"abc"
    with pytest.raises(ValueError, match="closed"):
        one.append(1, b"d")


def test_discard_frees_all_of_it(made):
    before = len(leaks.descriptors())
    one = made(memory=10, capacity=1000)
    one.append(1, bytes(500))
    assert len(leaks.descriptors()) == before + 1
    one.discard()

    assert len(leaks.descriptors()) == before
    assert (one.closed, one.start, one.end) == (True, 500, 500)


def test_it_takes_its_capacity_and_not_a_byte_more(made):
    one = made(memory=10, capacity=100)
    one.append(1, bytes(60))
    with pytest.raises(JournalFull):
        one.append(1, bytes(41))
    assert (one.end, one.free) == (60, 40)
    one.append(1, bytes(40))

    assert one.free == 0
    one.drop(30)
    one.append(2, b"x" * 30)
    assert whole(one) == bytes(70) + b"x" * 30


@pytest.mark.parametrize("capacity", [1, 10, 63, 64])
def test_a_small_capacity_is_a_capacity_too(made, capacity):
    one = made(memory=4, capacity=capacity)
    for number in range(300):
        one.append(1, bytes([number % 256]))
        assert one.read(number) == (1, bytes([number % 256]))
        one.drop(one.end)


def test_what_is_dropped_in_part_goes_round_the_ring(made):
    """A record may be longer than the ring when its first bytes have been dropped."""
    one = made(memory=10, capacity=10)
    one.append(1, b"01234")
    one.drop(5)
    one.append(1, b"abcdefg")
    one.drop(9)
    one.append(1, b"ABCDEFG")

    assert whole(one) == b"efgABCDEFG"


def test_the_file_never_grows_beyond_the_capacity(made):
    one = made(memory=100, capacity=5000)
    for _ in range(100):
        one.append(1, os.urandom(900))
        one.drop(one.end - 4000)
        assert one._spool is None or os.fstat(one._spool._file).st_size <= 5000


def test_changes_of_stream_are_bounded(made):
    """Each costs memory that no byte pays for."""
    one = made(memory=1 << 20, capacity=1 << 20)
    for number in range((1 << 20) // 64 + 1):
        one.append(1 + number % 2, b"x")
    with pytest.raises(JournalFull):
        one.append(1, b"x")

    one.drop(one.end)
    one.append(1, b"again")
    assert whole(one) == b"again"


def test_a_file_has_no_name_and_is_private(made, tmp_path):
    one = made(memory=1, capacity=100, directory=str(tmp_path))
    one.append(1, bytes(50))

    assert list(tmp_path.iterdir()) == []
    assert os.fstat(one._spool._file).st_mode & 0o777 == 0o600


def test_the_file_is_closed_when_memory_holds_what_is_left(made):
    one = made(memory=10, capacity=100)
    one.append(1, bytes(50))
    one.append(1, b"tail")
    one.drop(50)

    assert one._spool is None
    assert whole(one) == b"tail"
    one.append(1, b"x" * 60)
    assert whole(one) == b"tail" + b"x" * 60


def test_without_a_place_for_the_file_it_is_full_at_what_memory_holds(made, tmp_path):
    one = made(memory=10, capacity=1000, directory=str(tmp_path / "absent"))
    one.append(1, b"0123456789abcdef")  # what was taken is kept

    assert whole(one) == b"0123456789abcdef"
    with pytest.raises(JournalFull):
        one.append(1, b"x")
    one.drop(6)
    one.append(1, b"x" * 6)
    assert whole(one) == b"6789abcdefxxxxxx"


def test_a_full_disk_loses_nothing(made, monkeypatch):
    """The disk takes some, then none, then all again."""
    real, allowed = os.pwrite, [25]

    def pwrite(file, data, place):
        if not allowed[0]:
            raise OSError(28, "No space left on device")
        count = min(allowed[0], len(data))
        allowed[0] -= count
        return real(file, data[:count], place)

    monkeypatch.setattr(os, "pwrite", pwrite)
    one = made(memory=10, capacity=1000)
    data = bytes(range(100))
    one.append(1, data[:20])
    one.append(1, data[20:40])  # five bytes of it get there
    assert whole(one) == data[:40]
    with pytest.raises(JournalFull):
        one.append(1, bytes(21))
    one.drop(15)
    assert whole(one) == data[15:40]
    one.drop(30)
    allowed[0] = 1000
    one.append(1, data[40:50])
    assert whole(one) == data[30:50]


def test_the_newest_is_kept_at_the_cap(made):
    one = made(memory=10, capacity=80, newest=True)
    data = bytes(range(250))
    for at in range(0, 250, 5):
        one.append(1, data[at : at + 5])
        assert whole(one) == data[one.start : at + 5]
        assert one.end - one.start <= 80
    assert one.end - one.start > 60, "an eighth is dropped at a time"
    one.append(1, data[:200])
    assert (one.start, one.end) == (370, 450)
    assert whole(one) == data[120:200]


def test_the_newest_is_kept_in_memory_where_there_is_no_disk(made, tmp_path):
    one = made(memory=50, capacity=1000, directory=str(tmp_path / "absent"), newest=True)
    data = bytes(range(256)) * 40
    at = 0
    for size in itertools.islice(itertools.cycle([8, 3, 30, 1, 49, 13]), 500):
        one.append(1, data[at : at + size])
        at += size
        assert whole(one) == data[one.start : at]
        assert one.end - one.start <= 50 + 49
    assert one.end - one.start > 30


def test_it_begins_anew_behind_a_gap(made):
    one = made(memory=4, capacity=100)
    one.append(1, b"before")
    one.skip_to(1000)
    assert (one.start, one.end, one.free, contents(one)) == (1000, 1000, 100, [])
    one.append(2, b"after, and more")
    assert one.read(1000, 5) == (2, b"after")
    assert whole(one) == b"after, and more"


class Against(RuleBasedStateMachine):
    """Any order of calls: the same as a list of (stream, byte) that is cut at both ends."""

    capacity, memory = 97, 24

    def __init__(self) -> None:
        super().__init__()
        self.journal = Journal(self.memory, self.capacity)
        self.bytes: list[tuple[int, int]] = []  # all that was ever taken
        self.start = 0

    @precondition(lambda self: not self.journal.closed)
    @rule(stream=st.sampled_from([1, 2]), data=st.binary(max_size=60))
    def append(self, stream, data):
        live = self.bytes[self.start :]
        runs = 1 + sum(a[0] != b[0] for a, b in itertools.pairwise(live))
        fits = len(data) <= self.capacity - (len(self.bytes) - self.start)
        try:
            self.journal.append(stream, data)
        except JournalFull:
            assert not fits or 1 + runs > max(self.capacity // 64, 1)  # one may be dropped, but for its name
        else:
            assert fits
            self.bytes += [(stream, byte) for byte in data]

    @rule(back=st.integers(-5, 110))
    def drop(self, back):
        offset = len(self.bytes) - back
        self.journal.drop(offset)
        self.start = max(self.start, min(offset, len(self.bytes)))

    @precondition(lambda self: len(self.bytes) > 200)
    @rule()
    def close(self):
        self.journal.close()

    @rule(share=st.floats(0, 1), limit=st.integers(1, 120))
    def read(self, share, limit):
        offset = self.start + int(share * (len(self.bytes) - self.start))
        record = self.journal.read(offset, limit)
        if offset == len(self.bytes):
            assert record is None
        else:
            stream, data = record
            assert 0 < len(data) <= limit
            assert self.bytes[offset : offset + len(data)] == [(stream, byte) for byte in data]

    @invariant()
    def same(self):
        assert (self.journal.start, self.journal.end) == (self.start, len(self.bytes))
        assert self.journal.free == self.capacity - (len(self.bytes) - self.start)
        got = [(stream, byte) for stream, data in contents(self.journal, limit=7) for byte in data]
        assert got == self.bytes[self.start :]

    def teardown(self):
        self.journal.discard()


class Tiny(Against):
    capacity, memory = 7, 7


class Large(Against):
    capacity, memory = 300, 1


TestAgainst, TestTiny, TestLarge = Against.TestCase, Tiny.TestCase, Large.TestCase
for case in (TestAgainst, TestTiny, TestLarge):
    case.settings = settings(examples(40), stateful_step_count=30)


def test_what_runs_in_the_runner_is_python_3_9():
    for path in sorted(Path(journal.__file__).parent.glob("*.py")):
        text = path.read_text("utf-8")
        if path.name == "boot.py":  # an older one can still say that it is too old
            ast.parse(text, feature_version=(3, 6))
            continue
        tree = ast.parse(text, feature_version=(3, 9))
        annotated = any(isinstance(node, ast.FunctionDef | ast.AnnAssign) for node in ast.walk(tree))
        assert not annotated or "from __future__ import annotations" in text, path  # X | Y is 3.10's
