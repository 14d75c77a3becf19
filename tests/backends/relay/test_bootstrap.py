"""What a login profile says before the relay does: anything, and in any pieces."""

import os
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.relay.bootstrap import Handshake
from gateway.backends.relay.bundle import bundle

MARK = b"\x1enonce "
TALK = st.one_of(
    st.binary(max_size=50),
    st.sampled_from([b"\n", b"\x1e", b"\x1enon", b"\x1enonce", b"\r\n", b"\x1e\x1enonc"]),
)


@given(TALK, TALK, st.binary(max_size=60), st.data())
def test_it_is_found_in_any_talk_however_it_is_cut(first, second, frames, data):
    raw = first + MARK + b"ready\n" + second + MARK + b"link\n" + frames
    before, cuts = Handshake("nonce"), sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        before.feed(raw[begin:end])

    assert before.ready
    assert before.linked
    assert before.rest == frames
    assert before.problem == ""


@pytest.mark.parametrize("talk", [os.urandom(1 << 20).replace(b"\x1e", b""), b"\n" * (1 << 20), bytes(1 << 20), b"\x1e" * (1 << 20)],
                         ids=["binary", "lines", "zeros", "marks"])  # fmt: skip
def test_a_megabyte_of_it_is_not_kept(talk):
    before = Handshake("nonce")
    for at in range(0, len(talk), 32768):
        before.feed(talk[at : at + 32768])
    assert not before.ready
    assert len(before.talk) == 4096
    before.feed(MARK + b"ready\n")
    assert before.ready


def test_its_last_words_are_kept_without_a_line_end():
    before = Handshake("nonce")
    before.feed(b"closed for today")

    assert before.talk == b"closed for today"


def test_a_line_of_ours_without_an_end_does_not_grow():
    before = Handshake("nonce")
    for _ in range(100):
        before.feed(MARK + bytes(32768))
    assert len(before.talk) <= 4096


def test_what_starts_a_relay_is_compressed():
    """Each link sends it, after a lost hop first of all, and the network may be a slow one."""
    source = sum(
        len(file.read_bytes()) for file in files("gateway.relay").iterdir() if file.name.endswith(".py")
    )
    assert len(bundle().archive) < source / 2
