"""Where output is whole, and what of it is seen."""

import pytest

from gateway.client.output_tracker import OutputTracker, whole

TEXTS = [
    b"plain text\r\n", "ünïcödé €".encode(), "\U0001f600".encode(), b"\x1b[31m", b"\x1b[?1049h", b"\x1b[1;2;3 q",
    b"\x1b]0;title\x07", b"\x1b]0;title\x1b\\", b"\x1b(B", b"\x1b7", b"\x1bc", b"\x1bP1$r0m\x1b\\", b"\x1b=",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_sequence_is_whole_at_its_end_and_nowhere_before(text):
    """Each cut within the last sequence or character points before it; text may be cut anywhere."""
    assert whole(text) == len(text)
    for cut in range(1, len(text)):
        at = whole(text[:cut])
        assert 0 <= at <= cut
        if text.startswith(b"\x1b") and b"\x1b\\" not in text:
            assert at == 0
        if text.isascii() and not text.startswith(b"\x1b"):
            assert at == cut


def test_a_string_is_whole_only_with_its_terminator():
    """While it is open its beginning counts, also where its terminator has half come."""
    text = b"x\x1b]0;title"

    assert whole(text) == 1
    assert whole(b"x\x1b[3\x1b[31m") == len(b"x\x1b[3\x1b[31m")


def test_what_never_ends_is_no_sequence():
    assert whole(b"\x1b]" + b"x" * 5000) == 5002


@pytest.mark.parametrize("data", [b"\xff", b"\x80\x80\x80\x80", b"a\xe4b", bytes(range(128, 192))])
def test_what_is_no_utf8_is_let_be(data):
    assert len(data) - whole(data) <= 3


def test_seen_follows_what_was_written_and_stays_before_the_unfinished():
    drawn = OutputTracker()
    drawn.begin(1000)
    drawn.take(b"12345\x1b[3")
    drawn.take(b"1mred")

    assert drawn.seen(0) == 1000
    assert drawn.seen(7) == 1000
    assert drawn.seen(8) == 1005
    assert drawn.seen(13) == drawn.accepted == 1013
    assert not drawn.unfinished


def test_after_a_rewind_the_unfinished_comes_once_more():
    drawn = OutputTracker()
    drawn.take(b"ab\xe2\x82")
    assert drawn.unfinished
    drawn.rewind()

    assert drawn.accepted == 2
    drawn.take(b"\xe2\x82\xac")
    assert drawn.accepted == 5
    assert drawn.seen(7) == 5


def test_what_is_skipped_counts():
    drawn = OutputTracker()
    drawn.take(b"ab\x1b[")
    drawn.skip(100)
    drawn.take(b"c")

    assert drawn.accepted == 105
    assert drawn.seen(4) == 104
    assert drawn.seen(5) == 105
