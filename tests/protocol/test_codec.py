"""Messages on every row of the table: what is said is what is heard, and nothing a peer sends can do harm."""

import base64

import pytest

from gateway.protocol.codec import CHUNK, MAX_MESSAGE, ClientDecoder, decode_server, encode
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import Control, Ended, HalfClose, Ignored, Output, Resize, Stdin, Stream
from gateway.protocol.status import SUCCESS, Status, exited, internal_error
from gateway.protocol.subprotocols import CHANNEL, NONE, OWN, SUBPROTOCOLS, V4, V5
from gateway.protocol.target import TerminalSize

BINARY = [row for row in SUBPROTOCOLS if not row.base64]
BASE64 = [row for row in SUBPROTOCOLS if row.base64]
PLAIN = [row for row in SUBPROTOCOLS if not row.json_status]
EVERY_ROW = pytest.mark.parametrize("row", SUBPROTOCOLS, ids=lambda row: row.name or "none")
WITH_HALF_CLOSE = [row for row in SUBPROTOCOLS if row.half_close]


def client(payload, row=V5):
    return ClientDecoder(row).decode(payload)


# --- what the table of rows promises ---


@pytest.mark.parametrize("row", BASE64)
def test_base64_rows_speak_text(row):
    """A digit for the stream, then padded base64 of this message alone."""
    assert encode(Output(1, b"\xff"), row) == "1/w=="
    assert encode(Stdin(b""), row) == "0"
    assert client("0/w==", row) == [Stdin(b"\xff")]
    assert client(b"0/w==", row) == [Stdin(b"\xff")]


@pytest.mark.parametrize("row", BINARY)
def test_binary_rows_speak_bytes(row):
    """A byte for the stream, then the payload."""
    assert encode(Output(2, b"\xff"), row) == b"\x02\xff"


@EVERY_ROW
def test_the_hello_frame_is_never_empty(row):
    """An empty message kills kubectl and client-node; the stream alone is legal."""
    assert encode(Output(1, b""), row) == ("1" if row.base64 else b"\x01")


@pytest.mark.parametrize("row", PLAIN)
def test_plain_rows_say_failures_in_words(row):
    """Nothing on success, the message on failure, which comes back as it was said."""
    assert encode(Ended(SUCCESS), row) is None
    assert encode(Ended(Status(success=False)), row) is None
    for status in (exited(3), internal_error("größer")):
        payload = encode(Ended(status), row)
        assert decode_server(payload, row) == Ended(Status(success=False, message=status.message))


@EVERY_ROW
def test_half_close_and_control_only_where_the_row_has_them(row):
    """Before v5 there is no half-close; on Kubernetes' own protocols nothing of ours is ever said."""
    assert (encode(HalfClose(0), row) is not None) == row.half_close
    assert (encode(Control({"type": "started"}), row) is not None) == row.control
    assert (row.half_close, row.control) == (row in (V5, OWN), row is OWN)


@EVERY_ROW
def test_what_was_ignored_is_not_passed_on(row):
    """It has no bytes; what is no message at all is a defect of the caller."""
    assert encode(Ignored("stream"), row) is None
    with pytest.raises(AssertionError):
        encode("hello", row)


def test_limits():
    """32 KiB a message as the API server sends, 32 MiB a message as it takes."""
    assert (CHUNK, MAX_MESSAGE) == (32 * 1024, 32 * 1024 * 1024)


def test_a_control_message_that_is_too_long_is_not_read():
    """It would be read at the cost of every other session."""
    body = b"\x05" + b'{"type":"ping","a":[' + b"[]," * CHUNK + b"[]]}"

    assert ClientDecoder(OWN).decode(body) == [Ignored("control")]
    assert ClientDecoder(OWN).decode(b'\x05{"type":"ping"}') == [Control({"type": "ping"})]


# --- odd input from a client ---


@EVERY_ROW
def test_streams_that_clients_do_not_have(row):
    """Unknown ones and the server's own are ignored and counted."""
    for stream in (1, 2, 3, *range(6, 255)):
        payload = chr(48 + stream) if row.base64 else bytes([stream]) + b"data"
        # beyond ASCII a stream takes two bytes of UTF-8, and the second is no base64
        assert client(payload, row) == [Ignored("base64" if row.base64 and stream > 79 else "stream")]


@pytest.mark.parametrize("row", [row for row in SUBPROTOCOLS if row is not OWN])
def test_our_control_stream_is_unknown_to_kubernetes(row):
    """Stream 5 with a well-formed object is ignored on every other row."""
    body = b'{"type":"hello"}'
    payload = "5" + base64.b64encode(body).decode() if row.base64 else b"\x05" + body

    assert client(payload, row) == [Ignored("stream")]
    assert decode_server(payload, row) == Ignored("stream")


@EVERY_ROW
@pytest.mark.parametrize("payload", [b"", ""])
def test_an_empty_message_is_nothing(payload, row):
    """Not even a stream."""
    assert client(payload, row) == []
    assert decode_server(payload, row) == Ignored("empty")


@EVERY_ROW
def test_empty_stdin_is_nothing(row):
    """It is not an end of file."""
    assert client("0" if row.base64 else b"\x00", row) == []


@pytest.mark.parametrize("row", BINARY)
def test_text_on_a_binary_row_is_its_bytes(row):
    """The Python client of Kubernetes sends its stdin so."""
    for text in ("ls\n", "größer", "\x00\x7f", "\ud800"):
        assert client("\x00" + text, row) == [Stdin(text.encode("utf-8", "surrogatepass"))], ascii(text)


@pytest.mark.parametrize("row", BINARY)
def test_a_resize_as_text(row):
    """And its resizes."""
    assert client('\x04{"Width":80,"Height":24}', row) == [Resize(TerminalSize(80, 24))]


@pytest.mark.parametrize("row", BASE64)
def test_bad_base64_is_skipped(row):
    """The message is dropped; the session goes on."""
    for text in ("0!", "0A", "0=", "0YQ", "0YQ=", "0YQ===", "0Y Q=", "0Yf_-", "0ä", "ä", "0Y\n=="):
        decoder = ClientDecoder(row)

        assert decoder.decode(text) == [Ignored("base64")], text
        assert decoder.decode("0bHMK") == [Stdin(b"ls\n")], text


@pytest.mark.parametrize("row", BASE64)
@pytest.mark.parametrize("first", [" ", "/", "\n", "\0"])
def test_a_base64_stream_below_zero(first, row):
    """What stands before `0` in ASCII is a stream that nobody has."""
    assert client(first + "YQ==", row) == [Ignored("stream")]


# --- half-close ---


@pytest.mark.parametrize("row", WITH_HALF_CLOSE)
def test_half_close_of_every_stream(row):
    """`ff 00` to `ff 04`; again and again is harmless."""
    decoder = ClientDecoder(row)

    for stream in (0, 0, 1, 2, 3, 4):
        assert decoder.decode(bytes([255, stream])) == [HalfClose(stream)]


@pytest.mark.parametrize("row", WITH_HALF_CLOSE)
@pytest.mark.parametrize("rest", [b"", b"\x00\x00", b"\x05", b"\xff", b"\x00x", b"0"])
def test_a_malformed_half_close_ends_the_connection(rest, row):
    """The one thing that a client cannot be forgiven: 1002."""
    with pytest.raises(ProtocolError, match="two bytes") as error:
        client(b"\xff" + rest, row)

    assert error.value.close_code == 1002


@pytest.mark.parametrize("row", [V4, CHANNEL, NONE])
def test_before_v5_there_is_no_half_close(row):
    """Stream 255 is as unknown there as 254."""
    for rest in (b"\x00", b"", b"\x00\x00", b"\x07"):
        assert client(b"\xff" + rest, row) == [Ignored("stream")], rest


@pytest.mark.parametrize("row", BASE64)
def test_no_half_close_in_base64(row):
    """Stream 255 is `chr(48 + 255)`, two bytes in UTF-8: no base64."""
    assert client("\u012fAA==", row) == [Ignored("base64")]


# --- our control stream ---


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"3", b'"hello"', b"{}", b'{"type":3}', b'{"type":null}', b'{"Type":"hello"}', b"{",
        b'{"type":"x"}{"type":"y"}', b"\xff", '{"type":"x"}'.encode("utf-16"), b"[" * 100_000,
        b'{"type":' + b"9" * 100_000 + b"}",
    ],
    ids=lambda body: ascii(body[:20]),
)  # fmt: skip
def test_what_is_no_control_message(body):
    """Both ends ignore it."""
    assert client(b"\x05" + body, OWN) == [Ignored("control")]
    assert decode_server(b"\x05" + body, OWN) == Ignored("control")


def test_control_messages_of_tomorrow_are_passed_on():
    """The reader decides by `type`; the codec does not know the vocabulary."""
    body = {"type": "tomorrow", "ü": [1.5, None, {"a": "\ud800"}]}

    assert client(encode(Control(body), OWN), OWN) == [Control(body)]


# --- odd input from a server ---


@pytest.mark.parametrize("row", [row for row in SUBPROTOCOLS if row.json_status])
@pytest.mark.parametrize("text", ["x", "{}", "null", "[" * 100_000])
def test_a_broken_status_is_an_error(text, row):
    """A client must not take it for success."""
    payload = "3" + base64.b64encode(text.encode()).decode() if row.base64 else b"\x03" + text.encode()
    with pytest.raises(ProtocolError, match="no Status"):
        decode_server(payload, row)


@EVERY_ROW
def test_the_hello_frame_on_stream_3(row):
    """When neither output was asked for, a cluster says hello there: no Status yet."""
    assert decode_server("3" if row.base64 else b"\x03", row) == Ignored("empty")


@pytest.mark.parametrize("row", BASE64)
def test_bad_base64_from_a_server(row):
    """Output that cannot be read is not dropped unsaid."""
    with pytest.raises(ProtocolError, match="not base64"):
        decode_server("1!", row)


@EVERY_ROW
def test_streams_that_servers_do_not_have(row):
    """A server newer than we are is read on."""
    for stream in (0, 4, 6, 7, 60):
        payload = chr(48 + stream) if row.base64 else bytes([stream, 1])
        assert decode_server(payload, row) == Ignored("stream"), stream


def test_stream_ids():
    """As in Kubernetes, and 5 for ours."""
    assert {stream.name: int(stream) for stream in Stream} == {
        "STDIN": 0, "STDOUT": 1, "STDERR": 2, "ERROR": 3, "RESIZE": 4, "CONTROL": 5, "CLOSE": 255,
    }  # fmt: skip


@EVERY_ROW
@pytest.mark.parametrize("stream", [1, 2])
def test_output_is_exact(stream, row):
    """Every byte value, and a whole chunk."""
    for data in (bytes(range(256)), b"\0" * CHUNK):
        assert decode_server(encode(Output(stream, data), row), row) == Output(stream, data)
