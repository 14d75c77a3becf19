"""Credit of a stream: whatever its window, and however slowly its output is read, what has been read makes room."""

import pytest

from gateway.backends.relay.flow_window import ActivityTracker
from gateway.backends.relay.link_stream import AHEAD, LinkStream
from gateway.relay import wire


class Far:
    """The relay's side: sends as far as it has credit."""

    def __init__(self, window):
        self.credit = wire.Allowance(window)
        self.stream = LinkStream(1, self.heard, window, ActivityTracker())

    def heard(self, frame):
        ((kind, _, body),) = wire.Decoder().feed(frame)
        assert kind == wire.CREDIT
        self.credit.grant(wire.decode_credit(body))

    def flood(self, size, rtt):
        """Sends all that there is credit for, and has the link grant credit after each frame."""
        sent = 0
        while room := min(size, self.credit.left):
            self.credit.take(room)
            self.stream.frame(wire.STDOUT, bytes(room))
            self.stream.credit(rtt)
            sent += room
            if sent > 64 << 20:
                break
        return sent


@pytest.mark.parametrize("window", [wire.WINDOW, AHEAD // 2, AHEAD - 1, AHEAD, AHEAD + 1, 2 * AHEAD, 4 << 20])
@pytest.mark.parametrize("size", [1000, wire.FULL])
async def test_output_that_is_read_late_does_not_stop_the_sender(window, size):
    far = Far(window)
    for _ in range(20):
        assert far.flood(size, rtt=0.0)  # until its credit is used up
        assert sum(len(body) for _, body in far.stream.take())
