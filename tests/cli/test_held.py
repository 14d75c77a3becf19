"""What was typed, until it has arrived: each byte once, in order, within its credit."""

from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.held import Held


def sent(held):
    data = b""
    while more := held.next():
        data += more
    return data


def test_without_credit_all_is_sent_once_and_forgotten():
    """A gateway that acknowledges nothing: TCP holds back, and nothing is sent again."""
    held = Held()
    held.add(b"one")
    held.add(b"two")

    assert sent(held) == b"onetwo"
    assert held.waiting == 0


def test_credit_is_received_and_window():
    held = Held()
    held.begin(100, 4)
    held.add(b"abcdefgh")

    assert sent(held) == b"abcd"
    assert held.waiting == 4
    assert held.received(103)
    assert sent(held) == b"efg"


def test_after_a_loss_what_had_not_arrived_is_sent_again():
    held = Held()
    held.begin(0, 8)
    held.add(b"abcdefgh")
    sent(held)

    assert held.received(2)
    assert held.again(5, 8)
    assert sent(held) == b"fgh"


def test_what_cannot_have_been_received_is_refused():
    held = Held()
    held.begin(10, 8)
    held.add(b"abc")
    sent(held)

    assert not held.received(14)
    assert not held.again(9, 8)
    assert held.received(13)


def test_discarding_spares_what_may_have_arrived():
    held = Held()
    held.begin(0, 4)
    held.add(b"abcdefgh")
    sent(held)
    held.received(1)
    held.discard()
    held.add(b"\x03")

    assert sent(held) == b"\x03"
    assert held.again(2, 4)
    assert sent(held) == b"cd\x03"


def test_much_more_than_memory_is_kept_and_the_room_is_bounded():
    held = Held(memory=1000, capacity=10_000)
    held.begin(0, 100)
    data = bytes(range(250)) * 40
    while data[10_000 - held.room :] and held.room >= 250:
        held.add(data[10_000 - held.room :][:250])

    assert held.room == 0
    arrived = b""
    while more := held.next():
        arrived += more
        held.received(len(arrived))
    assert arrived == data
    assert held.room == 10_000


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_over_any_losses_each_byte_arrives_once(data):
    """A peer that takes what it likes of what is on its way, and forgets the rest at each loss."""
    window = data.draw(st.integers(1, 50))
    with closing(Held(memory=64, capacity=1 << 16)) as held:  # an example may be given up half-way
        held.begin(0, window)
        typed, arrived, acknowledged, way = b"", b"", 0, b""
        for _ in range(data.draw(st.integers(1, 30))):
            match data.draw(st.sampled_from(["type", "send", "arrive", "acknowledge", "lose"])):
                case "type":
                    more = data.draw(st.binary(max_size=80))
                    typed += more
                    held.add(more)
                case "send":
                    way += held.next()
                    assert len(arrived) + len(way) <= acknowledged + window
                case "arrive":
                    size = data.draw(st.integers(0, len(way)))
                    arrived, way = arrived + way[:size], way[size:]
                case "acknowledge":
                    acknowledged = len(arrived)
                    assert held.received(acknowledged)
                case "lose":
                    way, acknowledged = b"", len(arrived)
                    assert held.again(acknowledged, window)
            assert typed.startswith(arrived + way)
        arrived += way
        held.received(len(arrived))
        while more := held.next():
            arrived += more
            held.received(len(arrived))
        assert arrived == typed
