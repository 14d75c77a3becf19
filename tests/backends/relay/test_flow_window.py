"""A stream's window: what the path needs, and beside other streams not what a burst would."""

from gateway.backends.relay.flow_window import FlowWindow
from gateway.relay import wire

RTT = 0.002


def fed(flow, begin, seconds, rate, *, alone, rest=0):
    """Feeds the stream for that long, 10 ms at a time at `rate`, with a `rest` of so many times 10 ms after each 40; returns
    the largest window of the second half.
    """
    step = 0.01
    windows = [
        flow.window(int(rate * step), RTT, begin + number * step, alone=alone)
        for number in range(int(seconds / step))
        if number % (4 + rest) < 4
    ]
    return max(windows[len(windows) // 2 :])


def test_a_stream_alone_has_the_window_of_its_best_rate():
    flow = FlowWindow()

    assert fed(flow, 0, 1, 80e6, alone=True) > 900_000
    assert fed(flow, 1, 0.1, 20e6, alone=True) > 600_000


def test_beside_others_a_burst_counts_as_much_as_it_is_on_average():
    assert fed(FlowWindow(), 0, 2, 80e6, alone=False) > 250_000
    assert fed(FlowWindow(), 0, 2, 80e6, alone=False, rest=36) == wire.WINDOW


def test_what_a_stream_needed_alone_is_forgotten_beside_others():
    flow = FlowWindow()
    fed(flow, 0, 1, 80e6, alone=True)

    assert fed(flow, 1, 2, 5e6, alone=False) == wire.WINDOW
