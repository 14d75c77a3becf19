"""A stream's window: what the path needs, and beside other streams not what a burst would."""

import pytest

from gateway.backends.relay.flow_window import ActivityTracker, FlowWindow, InputWindow
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

    assert fed(flow, 0, 1, 80e6, alone=True) > 2_500_000
    assert fed(flow, 1, 0.1, 20e6, alone=True) > 1_800_000


def test_beside_others_a_burst_counts_as_much_as_it_is_on_average():
    assert fed(FlowWindow(), 0, 2, 80e6, alone=False) > 250_000
    assert fed(FlowWindow(), 0, 2, 80e6, alone=False, rest=36) == 2 * wire.FULL


def test_what_a_stream_needed_alone_is_forgotten_beside_others():
    flow = FlowWindow()
    fed(flow, 0, 1, 80e6, alone=True)

    assert fed(flow, 1, 2, 5e6, alone=False) == wire.FULL


def sent(window, seconds, rate, rtt, *, alone):
    """Sends as much as there is room for, over a way that takes `rate` bytes a second and tells so after `rtt`; returns
    what is in flight at the end.
    """
    step, flying = 0.005, 0
    told = [0] * int(rtt / step)
    for number in range(int(seconds / step)):
        room = max(window.room(alone=alone), 0)
        window.take(room)
        flying += room
        told.append(min(int(rate * step), flying - sum(told)))
        if used := told.pop(0):
            flying -= used
            window.used(used, rtt, number * step)
    return flying


def test_input_alone_has_what_the_way_needs_in_flight_and_no_more():
    assert sent(InputWindow(wire.MOST_INPUT), 5, 1e6, RTT, alone=True) <= wire.INPUT
    assert 1 << 20 < sent(InputWindow(wire.MOST_INPUT), 5, 40e6, RTT, alone=True) < 1_500_000
    assert sent(InputWindow(wire.MOST_INPUT), 20, 20e6, 0.1, alone=True) > 2_000_000, "a round trip"
    assert sent(InputWindow(wire.MOST_INPUT), 20, 400e6, RTT, alone=True) <= wire.MOST_INPUT


def test_input_beside_others_has_little_in_flight():
    assert sent(InputWindow(wire.MOST_INPUT), 5, 40e6, RTT, alone=False) <= wire.WINDOW


def test_a_relay_of_an_earlier_version_is_sent_no_more_than_it_takes():
    assert sent(InputWindow(), 5, 40e6, RTT, alone=True) <= wire.INPUT


def test_of_an_attach_what_waits_in_the_relay_is_in_flight():
    window = InputWindow.attached(wire.MOST_INPUT)
    assert window.room(alone=True) <= 0
    window.grant(wire.MOST_INPUT - 100_000)

    assert window.room(alone=True) == wire.INPUT - 100_000


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
    company = heard((1, 10.0), (2, 10.1), (1, 10.2), (2, 10.3), (1, 10.4), (2, 10.5))

    assert not company.alone(11.4)
    assert company.alone(11.6)


def talked(*at):
    """Returns the activity of a transfer and of another stream that sends at these times, and is answered 2 ms later."""
    return heard(
        (1, 10.0),
        *((stream, now + more / 1e3) for now in at for stream, more in [(2, 0), (1, 1), (2, 2), (1, 3)]),
    )


def test_a_request_and_its_answer_are_no_company_but_keys_and_their_echoes_are():
    assert talked(20.0).alone(20.01)
    assert talked(20.0, 25.0, 30.0).alone(30.01)
    assert not talked(20.0, 20.3).alone(20.31)
    assert not talked(20.0, 20.3, 21.2).alone(22.1)
    assert talked(20.0, 20.3, 21.2).alone(22.3)


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
    assert fed(FlowWindow(), 0, 2, 5e6, alone=True) == 5 * wire.FULL, "it lasts for 30 ms"
