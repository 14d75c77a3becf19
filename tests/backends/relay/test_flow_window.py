"""A stream's window: what the path needs, and beside other streams not what a burst would."""

import pytest

from gateway.backends.relay.flow_window import ActivityTracker, FlowWindow
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
    assert fed(FlowWindow(), 0, 2, 80e6, alone=False, rest=36) == 2 * wire.FULL


def test_what_a_stream_needed_alone_is_forgotten_beside_others():
    flow = FlowWindow()
    fed(flow, 0, 1, 80e6, alone=True)

    assert fed(flow, 1, 2, 5e6, alone=False) == wire.FULL


def heard(*turns):
    """Returns a tracker that has heard these streams, each at its time."""
    company = ActivityTracker()
    for number, now in turns:
        company.heard(number, now)
    return company


def test_a_stream_that_begins_behind_another_one_is_alone():
    assert heard((1, 10.0), (1, 10.1), (2, 10.2), (2, 10.3)).alone(10.3)


def test_the_end_of_a_stream_is_no_company_for_the_next_one():
    assert heard((1, 10.0), (2, 10.1), (1, 11.1), (2, 11.2)).alone(11.2)


def test_streams_that_take_turns_are_not_alone_for_a_second():
    company = heard((1, 10.0), (2, 10.1), (1, 10.2), (2, 10.5))

    assert not company.alone(11.4)
    assert company.alone(11.6)


def test_a_key_and_its_echo_are_beside_the_transfer():
    assert not heard((1, 10.0), (2, 20.0), (1, 20.1), (2, 20.101), (1, 20.102), (2, 20.103)).alone(20.2)


def test_a_stream_that_has_ended_is_no_company():
    company = heard((1, 10.0), (2, 10.1), (1, 10.2))
    company.forget(2)
    company.heard(2, 10.3)

    assert company.alone(10.3)


def test_a_stream_that_ends_while_it_talks_leaves_nothing():
    company = heard((1, 10.0), (2, 10.1))
    company.forget(2)
    company.heard(1, 10.2)
    company.heard(2, 10.3)

    assert company.alone(10.3)


def test_grants_are_rare_where_the_rest_of_the_window_keeps_the_path_full():
    flow = FlowWindow()
    window = fed(flow, 0, 1, 80e6, alone=True)

    assert flow.step(window, RTT) == window // 2
    assert flow.step(window, 0.1) == window // 4, "half of it would not last for a round trip"


def test_a_window_holds_full_frames():
    assert fed(FlowWindow(), 0, 1, 80e6, alone=True) % wire.FULL == 0
    assert fed(FlowWindow(1000), 0, 1, 1000, alone=False) == 1000


@pytest.mark.parametrize("alone", [True, False])
def test_on_a_long_way_the_window_grows_until_the_way_is_full(alone):
    flow, window, rtt = FlowWindow(), wire.WINDOW, 0.1
    for number in range(1, 400):
        window = flow.window(min(window, 500_000), rtt, number * rtt, alone=alone)  # the way takes 5 MB/s

    assert window > 500_000


def test_a_slow_stream_beside_others_has_one_frame_in_flight():
    assert fed(FlowWindow(), 0, 2, 5e6, alone=False) == wire.FULL
    assert fed(FlowWindow(), 0, 2, 5e6, alone=True) == 2 * wire.FULL
