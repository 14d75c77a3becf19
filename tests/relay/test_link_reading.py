"""How a relay's link reads: a key at once, bulk in large pieces. And what it still sends when it is closed."""

import os

import pytest

from gateway.relay import wire
from gateway.relay.link import Link
from gateway.relay.loop import Loop


class Far:
    """A link to a loop that a test turns by hand, with one stream, whose frames are in `came`."""

    number, done = 1, False

    def __init__(self):
        self.came = []
        self.wake = None
        self._in, self._write = os.pipe()
        self._read, self._out = os.pipe()
        self.loop = Loop(lambda: None)
        self.link = Link(self.loop, (self._in, self._out), self._opened, lambda *_: None)
        self.link.add(self)

    def _opened(self, *_):
        raise AssertionError("nothing is opened here")

    def frame(self, kind, body):
        self.came.append((kind, len(body)))

    def take(self):
        return b""

    def send(self, data):
        os.write(self._write, data)

    def sent(self):
        """What the link has written, as frames."""
        return wire.Decoder().feed(os.read(self._read, 65536))

    def turns(self, count):
        for _ in range(count):
            self.loop.later(0, lambda: None)  # so that a turn ends, also where nothing is to be read
            self.loop._round()

    def close(self):
        self.link.close("the test is over")
        for fd in (self._write, self._read):
            os.close(fd)
        self.loop._selector.close()


@pytest.fixture
def far():
    far = Far()
    yield far
    far.close()


FRAME = wire.encode(wire.STDIN, 1, bytes(wire.FULL))


def test_a_frame_that_comes_in_pieces_is_handed_on_in_two(far):
    far.send(FRAME[:4096])
    far.turns(1)
    for at in range(4096, len(FRAME), 2048):
        far.send(FRAME[at : at + 2048])
    while len(far.came) < 2:
        far.turns(1)
    assert far.came == [(wire.STDIN, 4096 - 7), (wire.STDIN, len(FRAME) - 4096)]


def test_frames_that_follow_each_other_are_read_together(far):
    far.send(FRAME)
    far.turns(1)
    assert far.came == [(wire.STDIN, wire.FULL)]
    far.send(FRAME)
    far.send(FRAME[:8])
    while len(far.came) < 2:
        far.turns(1)
    assert far.came[1] == (wire.STDIN, wire.FULL + 1)


@pytest.mark.parametrize("size", [1, 100, 4096])
def test_what_is_no_bulk_is_read_in_the_next_turn(far, size):
    for number in range(1, 6):
        far.send(wire.encode(wire.STDIN, 1, bytes(size)))
        far.turns(1)
        assert far.came == [(wire.STDIN, size)] * number


def test_a_link_that_is_closed_meanwhile_is_not_read(far):
    far.send(FRAME[:100])
    far.turns(1)
    far.link.close("so")
    timers = [timer for _, _, timer in far.loop._timers if timer.call]
    for timer in timers:
        timer.call()
    assert far.came == [(wire.STDIN, 93)]


def test_a_report_that_waits_is_sent_before_bye(far):
    report, reason = {"tag": "s-1", "results": []}, {"reason": "another link took its place"}
    far.link.send(wire.encode_object(wire.AFTER, 0, report))
    far.link.close(reason["reason"])

    sent = [(kind, wire.decode_object(body)) for kind, _, body in far.sent()]
    assert sent == [(wire.AFTER, report), (wire.BYE, reason)]


def test_a_report_that_waits_outlives_a_defect_of_a_stream(far):
    report = {"tag": "s-1", "results": []}
    far.link.send(wire.encode_object(wire.AFTER, 0, report))
    far.take = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError) as defect:
        far.link.flush()
    far.link.defect(defect.value)

    assert [kind for kind, _, _ in far.sent()] == [wire.AFTER, wire.BYE]
