"""The link's codec: frames however they are cut, credit, and nothing but its own error for any bytes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.relay import link, wire

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "relay.json").read_text())
KINDS = {name: getattr(wire, name) for name in (
    "STDIN", "STDOUT", "STDERR", "CREDIT", "RESIZE", "SIGNAL", "EOF", "END", "PART", "OPEN", "STARTED", "EXIT",
    "HELLO", "PING", "PONG", "BYE", "SEEN", "GAP", "NOTE", "AFTER", "RECEIVED", "SKIP",
)}  # fmt: skip

frames = st.lists(
    st.tuples(st.integers(0, wire.KINDS - 1), st.integers(0, 2**32 - 1), st.binary(max_size=200)), max_size=8
)


def test_kinds_have_one_number_each():
    assert len(set(KINDS.values())) == len(KINDS)
    assert max(KINDS.values()) + 1 == wire.KINDS


@pytest.mark.parametrize("row", VECTORS["frames"], ids=lambda row: row["name"])
def test_vectors_both_ways(row):
    raw = bytes.fromhex(row["hex"])
    expected = [(KINDS[one["kind"]], one["stream"], body(one)) for one in row["frames"]]

    assert wire.Decoder().feed(raw) == expected
    assert b"".join(wire.encode(*frame) for frame in expected) == raw


@pytest.mark.parametrize("row", VECTORS["broken"], ids=lambda row: row["name"])
def test_vectors_that_break_a_rule(row):
    with pytest.raises(wire.WireError, match=row["error"]):
        wire.Decoder().feed(bytes.fromhex(row["hex"]))


def body(one: dict) -> bytes:
    if "size" in one:
        return wire.encode_size(0, *one["size"])[7:]
    if "credit" in one:
        return wire.encode_credit(0, one["credit"])[7:]
    if "offset" in one:
        return wire.encode_offset(0, 0, one["offset"])[7:]
    if "json" in one:
        return json.dumps(one["json"], ensure_ascii=False).encode()
    return bytes.fromhex(one.get("hex", ""))


def test_input_of_one_stream_is_joined_and_nothing_else():
    parts = [(0, 1, b"a"), (0, 1, b"b"), (0, 2, b"c"), (0, 1, b"d"), (6, 1, b""), (1, 1, b"e"), (1, 1, b"f")]

    assert link.joined(parts) == [(0, 1, b"ab"), *parts[2:]]


@given(frames, st.data())
def test_frames_come_back_however_they_are_cut(some, data):
    raw = b"".join(wire.encode(*frame) for frame in some)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=10)))
    decoder, got = wire.Decoder(), []
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        got += decoder.feed(raw[begin:end])

    assert joined(got) == joined(some)


def joined(frames: list) -> list:
    """Bytes of a stream are one flow, whatever frames they come in."""
    out: list = []
    for kind, stream, some in frames:
        if kind <= wire.STDERR and out and out[-1][:2] == (kind, stream):
            out[-1] = (kind, stream, out[-1][2] + some)
        else:
            out.append((kind, stream, some))
    return out


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_raise_nothing_else(parts):
    decoder = wire.Decoder()
    try:
        for part in parts:
            for kind, _, some in decoder.feed(part):
                assert 0 <= kind < wire.KINDS
                assert len(some) <= wire.CHUNK
    except wire.WireError:
        pass


@given(st.binary(max_size=80))
def test_any_body_raises_nothing_else(some):
    for decode in (wire.decode_object, wire.decode_credit, wire.decode_size, wire.decode_offset):
        try:
            decode(some)
        except wire.WireError:
            continue


@pytest.mark.parametrize("some", [b"[" * 100_000, b"\xff", b"[]", b"1", b"", b'{"a": ' * 50_000])
def test_a_body_that_is_no_object(some):
    with pytest.raises(wire.WireError):
        wire.decode_object(some)


@pytest.mark.parametrize(
    "some", [b'"\\ud800"', b'{"\\udfff": 1}', b"1e999", b"-1e999", b"NaN", b"[Infinity]"]
)
def test_a_text_that_is_not_unicode_and_a_number_without_end_break_a_rule(some):
    with pytest.raises(wire.WireError):
        wire.decode_object(b'{"results": [%s]}' % some)


def test_one_byte_at_a_time():
    raw = wire.encode(wire.STDOUT, 7, b"x" * wire.CHUNK) + wire.encode(wire.PONG)
    decoder = wire.Decoder()
    got = [frame for byte in raw for frame in decoder.feed(bytes([byte]))]

    assert joined(got) == [(wire.STDOUT, 7, b"x" * wire.CHUNK), (wire.PONG, 0, b"")]


@pytest.mark.parametrize("size", [0, 1, wire.CHUNK - 12, wire.CHUNK, 100_000])
def test_a_request_of_any_length(size):
    request = {"argv": ["é" * (size // 2)]}
    decoded = wire.Decoder().feed(wire.encode_request(3, request))

    assert [kind for kind, _, _ in decoded] == [wire.PART] * (len(decoded) - 1) + [wire.OPEN]
    assert {stream for _, stream, _ in decoded} == {3}
    assert wire.decode_object(b"".join(part for _, _, part in decoded)) == request


@given(st.integers(2, 1 << 20), st.lists(st.integers(1, 1 << 16), max_size=40))
def test_credit_never_runs_dry_nor_over(size, reads):
    """A sender that uses all it has, and a receiver that takes what came, in any pieces."""
    window, may_send = wire.Window(size), wire.Allowance(size)
    waiting = 0
    for read in reads:
        count = min(may_send.left, 32768)
        may_send.take(count)
        window.arrived(count)
        waiting += count
        used = min(read, waiting)
        waiting -= used
        grant = window.used(used)
        if grant:
            may_send.grant(grant)
        assert may_send.left >= 0
        assert waiting or may_send.left * 2 >= size, "nothing waits, and yet there is no credit"


def test_more_than_granted_breaks_the_rule():
    window = wire.Window(10)
    window.arrived(10)
    with pytest.raises(wire.WireError, match="credit"):
        window.arrived(1)


def test_who_keeps_to_less_than_the_window_is_granted_in_time():
    window = wire.Window(wire.INPUT, step=wire.WINDOW // 2)
    window.arrived(wire.WINDOW)

    assert window.used(wire.WINDOW // 2 - 1) == 0
    assert window.used(1) == wire.WINDOW // 2


def test_credit_has_a_limit():
    with pytest.raises(wire.WireError, match="credit"):
        wire.Allowance().grant(wire.MOST)
