"""A WebSocket's frame of any length is one write: its client wakes once for it."""

import asyncio

import pytest
from aiohttp import ClientConnectionResetError
from websockets.frames import Frame
from websockets.streams import StreamReader

from gateway.server.websocket.socket import _Writer


class Transport:
    """Records what is written at once."""

    def __init__(self):
        self.writes = []
        self.closing = False

    def write(self, data):
        self.writes.append(bytes(data))

    def writelines(self, parts):
        self.writes.append(b"".join(parts))

    def is_closing(self):
        return self.closing


def parsed(data):
    reader = StreamReader()
    reader.feed_data(data)
    frame = Frame.parse(reader.read_exact, mask=False)
    try:
        while True:
            next(frame)
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("size", [0, 1, 125, 126, 16384, 16385, 32769, 65535, 65536, 1 << 20])
def test_a_frame_is_one_write(size):
    transport, message = Transport(), bytes(range(256)) * (size // 256 + 1)
    writer = _Writer(None, transport, limit=1 << 30)
    asyncio.run(writer.send_frame(message[:size], 2))
    (data,) = transport.writes
    frame = parsed(data)
    assert (frame.fin, frame.rsv1, frame.opcode, frame.data) == (True, False, 2, message[:size])
    assert writer._output_size == len(data)


def test_a_large_frame_is_refused_once_the_connection_closes():
    transport = Transport()
    transport.closing = True
    with pytest.raises(ClientConnectionResetError):
        asyncio.run(_Writer(None, transport, limit=1).send_frame(bytes(40000), 2))
    assert transport.writes == []
