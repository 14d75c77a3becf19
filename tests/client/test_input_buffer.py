"""What was typed, until it has arrived: each byte once, in order, within its credit."""

from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st
from support.repeated import examples

from gateway.client.input_buffer import InputBuffer


def sent(held):
    data = b""
    while more := held.next():
        data += more
    return data


def test_without_credit_all_is_sent_once_and_forgotten():
    """A gateway that acknowledges nothing: TCP holds back, and nothing is sent again."""
    held = InputBuffer()
    held.add(b"one")
    held.add(b"two")

    assert sent(held) == b"onetwo"
    assert held.waiting == 0


def test_credit_is_received_and_window():
    held = InputBuffer()
    held.begin(100, 4)
    held.add(b"abcdefgh")

    assert sent(held) == b"abcd"
    assert held.waiting == 4
    assert held.received(103)
    assert sent(held) == b"efg"


def test_after_a_loss_what_had_not_arrived_is_sent_again():
    held = InputBuffer()
    held.begin(0, 8)
    held.add(b"abcdefgh")
    sent(held)

    assert held.received(2)
    assert held.again(5, 8)
    assert sent(held) == b"fgh"


def test_what_cannot_have_been_received_is_refused():
    held = InputBuffer()
    held.begin(10, 8)
    held.add(b"abc")
    sent(held)

    assert not held.received(14)
    assert held.received(11)
    assert not held.again(10, 8)
    assert not held.received(10)
    assert held.received(13)


def test_discarding_spares_what_may_have_arrived():
    held = InputBuffer()
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
    held = InputBuffer(memory=1000, capacity=10_000)
    held.begin(0, 100)
    data = bytes(range(250)) * 40
    while data[10_000 - held.free :] and held.free >= 250:
        held.add(data[10_000 - held.free :][:250])

    assert held.free == 0
    arrived = b""
    while more := held.next():
        arrived += more
        held.received(len(arrived))
    assert arrived == data
    assert held.free == 10_000
    held.close()


def test_what_only_the_gateway_had_is_sent_once_more_after_its_death():
    """A hello is no acknowledgement: the next one may say less, down to the last `received`."""
    held = InputBuffer()
    held.begin(0, 8)
    held.add(b"abcdefgh")
    sent(held)
    held.received(2)

    assert held.again(6, 8)
    assert sent(held) == b"gh"
    assert held.again(3, 8)
    assert sent(held) == b"defgh"
    assert not held.again(1, 8)


def test_input_of_the_client_before_is_not_ours_to_send():
    held = InputBuffer()
    held.begin(100, 8)
    held.add(b"abc")
    sent(held)

    assert held.again(90, 8)
    assert sent(held) == b"abc"
    assert held.received(93)
    assert not held.again(92, 8)


@examples(200, random=True)
@given(st.data())
def test_over_any_losses_each_byte_arrives_once(data):
    """A peer that takes what it likes of what is on its way, and forgets the rest at each loss; when it dies itself also
    what it has not acknowledged.
    """
    window = data.draw(st.integers(1, 50))
    with closing(InputBuffer(memory=64, capacity=1 << 16)) as held:  # an example may be given up half-way
        held.begin(0, window)
        typed, taken, acknowledged, limit, way = b"", b"", 0, window, b""
        for _ in range(data.draw(st.integers(1, 40))):
            match data.draw(st.sampled_from(["type", "send", "take", "acknowledge", "lose", "die"])):
                case "type":
                    more = data.draw(st.binary(max_size=80))
                    typed += more
                    held.add(more)
                case "send":
                    way += held.next()
                    assert len(taken) + len(way) <= limit
                case "take":
                    size = data.draw(st.integers(0, len(way)))
                    taken, way = taken + way[:size], way[size:]
                case "acknowledge":
                    acknowledged = data.draw(st.integers(acknowledged, len(taken)))
                    assert held.received(acknowledged)
                    limit = max(limit, acknowledged + window)
                case loss:
                    taken, way = taken[: acknowledged if loss == "die" else None], b""
                    limit = len(taken) + window
                    assert held.again(len(taken), window)
            assert typed.startswith(taken + way)
        taken += way
        held.received(len(taken))
        while more := held.next():
            taken += more
            held.received(len(taken))
        assert taken == typed
