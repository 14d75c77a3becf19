"""The resize stream: objects in any spelling and any split, and nothing else has an effect."""

import base64
import time

import pytest

from gateway.protocol.codec import CHUNK, MAX_MESSAGE, ClientDecoder
from gateway.protocol.messages import ClientMessage, Ignored, Resize, Stdin
from gateway.protocol.subprotocols import SUBPROTOCOLS, V5
from gateway.protocol.target import TerminalSize

EVERY_ROW = pytest.mark.parametrize("row", SUBPROTOCOLS, ids=lambda row: row.name or "none")


def sizes(*messages: str) -> list[ClientMessage]:
    """What the resize stream says, message by message."""
    decoder = ClientDecoder(V5)
    return [found for message in messages for found in decoder.decode(b"\x04" + message.encode())]


def size(columns: int, rows: int) -> Resize:
    return Resize(TerminalSize(columns, rows))


@EVERY_ROW
@pytest.mark.parametrize(
    "text",
    [
        '{"Width":80,"Height":24}',
        '{"width":80,"HEIGHT":24}',
        '{"Height":24,"Width":80}\n',
        ' {"Width" : 80 , "Height":24, "x":{}}\n',
    ],
)
def test_spellings_of_a_resize(text, row):
    """Order and case of the keys, space and keys of tomorrow do not matter; the API server's decoder is as lenient."""
    payload = "4" + base64.b64encode(text.encode()).decode() if row.base64 else b"\x04" + text.encode()

    assert ClientDecoder(row).decode(payload) == [size(80, 24)]


@pytest.mark.parametrize(
    "text",
    [
        '{"Width":0,"Height":24}', '{"Width":80,"Height":0}', '{"Width":70000,"Height":24}', '{"Width":80,"Height":65536}',
        '{"Width":-80,"Height":24}', '{"Width":80.0,"Height":24}', '{"Width":8e1,"Height":24}', '{"Width":true,"Height":true}',
        '{"Width":"80","Height":"24"}', '{"Width":null,"Height":24}', '{"Width":[80],"Height":24}', '{"Width":{},"Height":24}',
        '{"Width":80}', '{"Height":24}', "{}", '{"Width":NaN,"Height":Infinity}', '{"Width":1e999,"Height":24}',
        '{"Width":' + "9" * 4000 + ',"Height":24}', "3", "null", '"x"', "[80,24]", "[]", "true",
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_what_is_no_size_is_ignored(text):
    """And the next one counts."""
    assert sizes(text, '{"Width":80,"Height":24}') == [Ignored("resize"), size(80, 24)]


@pytest.mark.parametrize(
    "text",
    [
        "x", "}", ",", "[", "nul", "'", "\x00", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1"),
        "[" * 20_000, '{"a":' * 3000, '{"Width":' + "9" * 30_000 + ',"Height":24}', '{"Width":' + "9" * 30_000,
        "{" + " " * 5000, "8" * 5000, "x" * CHUNK, " " * CHUNK + "{", '{"Width":80,"Height":24}' * 10_000,
    ],
    ids=lambda text: f"{text[:12]!a}x{len(text)}",
)  # fmt: skip
def test_what_is_no_json_is_dropped(text):
    """Nesting, digits and length without end cost nothing and leave nothing behind."""
    assert sizes(text, '{"Width":80,"Height":24}') == [Ignored("resize"), size(80, 24)]


@pytest.mark.parametrize(
    "text", ["{bad}", "{", '{"Width":80,', '{"a":[', '{"Width":80,"Height":', '{"a":' * 700, '{"x":"']
)
def test_a_malformed_object_does_not_swallow_the_next(text):
    """Unfinished and malformed look alike at first: a message that begins an object ends the wait."""
    assert sizes(text) == []
    assert sizes(text, ' {"Width":80,"Height":24}') == [Ignored("resize"), size(80, 24)]


def test_a_resize_may_be_split_anywhere():
    """The decoder reads a stream of objects, not messages."""
    text = '{"Width":120,"Height":40}\n{"Width":121,"Height":41}'
    for cut in range(len(text) + 1):
        assert sizes(text[:cut], text[cut:]) == [size(120, 40), size(121, 41)]
    assert sizes(*text) == [size(120, 40), size(121, 41)]


def test_several_sizes_in_one_message():
    """In order; the caller takes the latest. A bad one between them is ignored alone."""
    text = '{"Width":1,"Height":1} {"Width":0,"Height":0}\n3{"Width":2,"Height":2}{"Wid'

    assert sizes(text, 'th":3,"Height":3}') == [
        size(1, 1), Ignored("resize"), Ignored("resize"), size(2, 2), size(3, 3),
    ]  # fmt: skip


def test_an_unfinished_object_is_kept_up_to_4_kib():
    """Beyond that it is no terminal's size."""
    begin = '{"x":"' + "y" * 3000
    end = '","Width":80,"Height":24}'

    assert sizes(begin, "y" * 1000, end) == [size(80, 24)]
    assert sizes(begin, "y" * 1200, end) == [Ignored("resize")] * 3


def test_a_hostile_resize_costs_little():
    """The largest message that a socket takes is not parsed."""
    payload = b"\x04" + b"{}" * (MAX_MESSAGE // 2)
    started = time.perf_counter()

    assert ClientDecoder(V5).decode(payload) == [Ignored("resize")]
    assert time.perf_counter() - started < 1


def test_the_sizes_between_are_not_lost_to_other_messages():
    """Stdin may come between the halves of an object."""
    decoder = ClientDecoder(V5)

    assert decoder.decode(b'\x04{"Width":80,') == []
    assert decoder.decode(b"\x00ls\n") == [Stdin(b"ls\n")]
    assert decoder.decode(b'\x04"Height":24}') == [size(80, 24)]
