"""Credit of a stream: whatever its window, and however slowly its output is read, what has been read makes room."""

import asyncio
import time

import pytest

from gateway.backends.relay.flow_window import ActivityTracker, InputWindow
from gateway.backends.relay.link_stream import AHEAD, LinkStream
from gateway.relay import wire


class Far:
    """The relay's side: sends as far as it has credit."""

    def __init__(self, window, company):
        self.credit = wire.Allowance(window)
        self.stream = LinkStream(1, self.heard, window, company)

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


def taking_turns():
    """Returns the activity of a link with two streams that take turns now."""
    company = ActivityTracker()
    for number, ago in ((1, 0.5), (2, 0.4), (1, 0.3), (2, 0.2), (1, 0.1), (2, 0.0)):
        company.heard(number, time.monotonic() - ago)
    assert not company.alone(time.monotonic())
    return company


@pytest.mark.parametrize("window", [wire.WINDOW, AHEAD // 2, AHEAD - 1, AHEAD, AHEAD + 1, 2 * AHEAD, 4 << 20])
@pytest.mark.parametrize("size", [1000, wire.FULL])
@pytest.mark.parametrize("rtt", [0.0, 0.002])
@pytest.mark.parametrize("others", [False, True])
async def test_output_that_is_read_late_does_not_stop_the_sender(window, size, rtt, others):
    far = Far(window, taking_turns() if others else ActivityTracker())
    for _ in range(20):
        assert far.flood(size, rtt)  # until its credit is used up
        assert sum(len(body) for _, body in far.stream.take())


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("size", [1000, 5000, wire.FULL])
@pytest.mark.parametrize("ahead", [wire.INPUT, wire.MOST_INPUT])
async def test_input_goes_in_full_frames_however_little_the_far_side_takes_at_a_time(size, others, ahead):
    frames, company = [], taking_turns() if others else ActivityTracker()

    def heard(frame):
        frames.append(len(wire.Decoder().feed(frame)[0][2]))

    stream = LinkStream(1, heard, 0, company, InputWindow(ahead))
    stream.frame(wire.STARTED, b"{}")
    far, taken = wire.Window(ahead, step=wire.WINDOW // 2), 0
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(stream.write(bytes(20 * wire.FULL + 5)))
        while not writing.done():
            await asyncio.sleep(0)
            while taken < sum(frames):
                part = min(size, sum(frames) - taken)
                taken += part
                far.arrived(part)
                if grant := far.used(part):
                    stream.frame(wire.CREDIT, wire.encode_credit(1, grant)[7:])

    assert frames == [wire.FULL] * 20 + [5]
