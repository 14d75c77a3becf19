"""A pause in reading a descriptor: the callback comes back by itself, and not to a descriptor that was closed."""

import os
import time

import pytest

from gateway.relay.loop import Loop

SECONDS = 0.005


@pytest.fixture
def loop():
    one = Loop()
    yield one
    one._selector.close()


@pytest.fixture
def ends():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(writer)


def turns(loop, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        loop.later(0.001, lambda: None)  # so that a turn ends, also where nothing is to be read
        loop._round()


def test_it_is_read_again_by_whoever_read_it_before(loop, ends):
    reader, writer = ends
    came = []
    loop.readable(reader, lambda: came.append(os.read(reader, 9)))
    loop.pause(reader, SECONDS)
    loop.pause(reader, 60.0)  # changes nothing
    os.write(writer, b"x")
    loop.later(0, lambda: None)
    loop._round()
    assert came == []
    turns(loop, 10 * SECONDS)
    assert came == [b"x"]
    assert loop._paused == {}
    loop.close(reader)


def test_what_nobody_reads_stays_unread(loop, ends):
    loop.pause(ends[0], SECONDS)
    assert (loop._paused, loop._timers) == ({}, [])
    os.close(ends[0])


def test_the_next_descriptor_of_that_number_is_not_read(loop, ends):
    reader, writer = ends
    came = []
    loop.readable(reader, lambda: came.append(reader))
    loop.pause(reader, SECONDS)
    loop.close(reader)
    other, end = os.pipe()
    assert other == reader
    os.write(end, b"x")
    turns(loop, 4 * SECONDS)
    assert came == []
    os.close(other)
    os.close(end)
    assert writer not in (other, end)
