"""SPDY/3.1, as Kubernetes' streaming protocols use it: bytes that Go's servers send and take."""

import zlib

import pytest

from gateway.protocol import spdy
from gateway.protocol.spdy import Control, Decoder, Encoder, Frame

REPLY = bytes.fromhex("80030002000000140000000178bbe3c6a7c202a6230600000000ffff")
DATA = bytes.fromhex("000000030000000368690a")
FIN = bytes.fromhex("0000000301000000")
PING = bytes.fromhex("800300060000000400000001")
GOAWAY = bytes.fromhex("80030007000000080000000700000000")
RESET = bytes.fromhex("80030003000000080000000500000005")
ALL = [
    Frame(Control.SYN_REPLY, 1, 0, REPLY[8:]), Frame(None, 3, 0, b"hi\n"), Frame(None, 3, spdy.FIN, b""),
    Frame(Control.PING, 0, 0, PING[8:]), Frame(Control.GOAWAY, 0, 0, GOAWAY[8:]), Frame(Control.RST_STREAM, 5, 0, RESET[8:]),
]  # fmt: skip


@pytest.mark.parametrize("step", [1, 7, 8, 9, 1000])
def test_frames_come_out_however_their_bytes_arrive(step):
    sent, decoder = REPLY + DATA + FIN + PING + GOAWAY + RESET, Decoder()
    found = [frame for at in range(0, len(sent), step) for frame in decoder.receive(sent[at : at + step])]
    assert found == ALL
    assert [frame.fin for frame in found] == [False, False, True, False, False, False]


def test_data_and_pings_are_encoded_to_the_byte():
    assert spdy.data(3, b"hi\n") == DATA
    assert spdy.data(3, b"", fin=True) == FIN
    assert spdy.ping(PING[8:]) == PING


def test_headers_share_one_compression_and_need_no_dictionary():
    encoder, inflate = Encoder(), zlib.decompressobj()
    for stream, kind in ((1, "error"), (3, "data")):
        (frame,) = Decoder().receive(encoder.syn_stream(stream, {"streamType": kind}))
        assert (frame.kind, frame.stream, frame.flags) == (Control.SYN_STREAM, stream, 0)
        block = inflate.decompress(frame.body[10:])
        assert block == b"\0\0\0\x01\0\0\0\x0astreamtype" + len(kind).to_bytes(4, "big") + kind.encode()


def test_a_frame_of_absurd_length_is_refused_at_its_head():
    with pytest.raises(ValueError, match="SPDY frame of 16777215 bytes"):
        list(Decoder().receive(bytes.fromhex("0000000100ffffff")))
