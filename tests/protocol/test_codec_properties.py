"""Properties of the codec: what is said is what is heard, and no input raises anything but ProtocolError."""

import base64
import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.codec import ClientDecoder, decode_server, encode
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import Control, Ended, HalfClose, Ignored, Output, Resize, Stdin
from gateway.protocol.status import Status
from gateway.protocol.subprotocols import SUBPROTOCOLS, Subprotocol
from gateway.protocol.target import TerminalSize

ROW = st.sampled_from(SUBPROTOCOLS)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
SIZES = st.builds(TerminalSize, st.integers(1, 65535), st.integers(1, 65535))
CONTROLS = st.builds(
    lambda kind, body: Control(body | {"type": kind}), st.text(), st.dictionaries(st.text(), JSON)
)
STATUSES = st.builds(
    Status,
    st.booleans(),
    TEXT,
    TEXT,
    st.dictionaries(TEXT, st.lists(st.dictionaries(TEXT, TEXT, max_size=3), max_size=3), max_size=3),
    st.integers(0, 599),
)
CLIENT = (
    st.builds(Stdin, st.binary(min_size=1))
    | st.builds(Resize, SIZES)
    | st.builds(HalfClose, st.integers(0, 4))
    | CONTROLS
)
SERVER = st.builds(Output, st.sampled_from([1, 2]), st.binary()) | st.builds(Ended, STATUSES) | CONTROLS
PAYLOAD = (
    st.binary()
    | st.text()
    | st.builds(lambda head, rest: bytes([head]) + rest, st.sampled_from([0, 3, 4, 5, 255]), st.binary())
    | st.builds(
        lambda head, body: bytes([head]) + json.dumps(body).encode(), st.sampled_from([3, 4, 5]), JSON
    )
    | st.builds(
        lambda head, rest: head + base64.b64encode(rest).decode(), st.sampled_from("01345/"), st.binary()
    )
)


@given(CLIENT, ROW)
def test_a_client_is_understood(message, row):
    """decode(encode(m)) == m, or the row has no words for it."""
    payload = encode(message, row)
    if payload is None:
        assert isinstance(message, HalfClose | Control)
        assert not (row.half_close and row.control)
    else:
        assert isinstance(payload, str) == row.base64
        assert ClientDecoder(row).decode(payload) == [message]


@given(SERVER, ROW)
def test_a_server_is_understood(message, row: Subprotocol):
    """decode(encode(m)) == m; of a Status in words the words come back."""
    payload = encode(message, row)
    if isinstance(message, Ended) and not row.json_status:
        words = "" if message.status.success else message.status.message
        expected = Ended(Status(success=False, message=words)) if words else None
    else:
        expected = message if row.control or not isinstance(message, Control) else None

    assert (None if payload is None else decode_server(payload, row)) == expected


@given(
    st.lists(SIZES, max_size=5),
    st.lists(st.integers(0, 200)),
    st.sampled_from([row for row in SUBPROTOCOLS if not row.base64]),
)
def test_any_split_of_resizes_is_the_same(wanted, cuts, row):
    """However the stream is cut into messages."""
    stream = b"".join(encode(Resize(one), row)[1:] for one in wanted)
    borders = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    decoder = ClientDecoder(row)
    found = [
        message for begin, end in pairwise(borders) for message in decoder.decode(b"\x04" + stream[begin:end])
    ]

    assert found == [Resize(one) for one in wanted]


@given(st.lists(PAYLOAD, max_size=5), ROW)
def test_any_input_of_a_client_is_read_or_refused(payloads, row):
    """ProtocolError and nothing else; afterwards the decoder still works."""
    decoder = ClientDecoder(row)
    for payload in payloads:
        try:
            decoder.decode(payload)
        except ProtocolError:
            assert row.half_close

    last = encode(Resize(TerminalSize(80, 24)), row)
    assert decoder.decode(last)[-1] == Resize(TerminalSize(80, 24))


@given(PAYLOAD, ROW)
def test_any_input_of_a_server_is_read_or_refused(payload, row):
    """ProtocolError and nothing else."""
    try:
        message = decode_server(payload, row)
    except ProtocolError:
        return
    assert isinstance(message, Output | Ended | Control | Ignored)
