"""What comes on a stream early, late, or on one that took another's place, is heard as it was meant."""

import json
from pathlib import Path

import pytest
from support.served import cluster_at

from gateway.backends.relay.byte_stream import RelayBytes
from gateway.backends.relay.flow_window import ActivityTracker
from gateway.backends.relay.link_stream import LinkStream
from gateway.backends.relay.resumable_channel import ResumableRelayChannel, Terms
from gateway.backends.relay.seal import Seal
from gateway.backends.relay.streams import RelayStreams
from gateway.backends.resume import RecoveredSession
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target
from gateway.relay import wire
from gateway.settings.config import Limits

POD = Target("default", "default", "web-0")
TERMINAL = Command(("sh",), stdin=True, stdout=True, tty=True)


def stream(number):
    return LinkStream(number, lambda _: None, wire.WINDOW, ActivityTracker())


class Owner:
    """Hears up to where input has reached the far side."""

    acknowledged = 0

    def on_input_acknowledged(self, offset):
        self.acknowledged = offset


async def test_input_is_acknowledged_on_the_stream_that_took_the_first_ones_place():
    owner, later = Owner(), stream(2)
    terms = Terms(links=None, grace=1.0, seal=Seal(b"key", "default"))
    begun = RecoveredSession("s", {}, seen=0, start=0, end=0, received=0)
    channel = ResumableRelayChannel(stream(1), terms, begun, POD, TERMINAL, owner)
    channel.carry(later, kubectl=False)  # the API had not begun the command
    await channel.write(b"input")
    later.frame(wire.RECEIVED, (5).to_bytes(8, "big"))

    assert owner.acknowledged == 5


class Ended:
    """A link whose streams have started, said something and ended by the time that anybody looks."""

    def open(self, _):
        found = stream(1)
        found.frame(wire.STARTED, b"{}")
        found.frame(wire.STDOUT, b"ERR too many clients\r\n")
        found.frame(wire.EXIT, json.dumps({"error": "Connection reset by peer", "errno": 104}).encode())
        return found

    def forget(self, _):
        pass


async def test_a_server_that_says_a_line_and_is_gone_was_reached():
    async def link():
        return Ended()

    streams = RelayStreams(cluster_at("mgmt", Path(), Path(), "runner"), Limits(), link)
    async with streams.dial("tcp:10.0.0.1:6379") as connection:
        assert await connection.read() == b"ERR too many clients\r\n"


@pytest.mark.parametrize("lost", [True, False])
async def test_bytes_that_have_ended_stay_so_whatever_is_lost_later(lost):
    found = stream(1)
    found.frame(wire.STARTED, b"{}")
    found.frame(wire.STDOUT, b"all")
    found.frame(wire.EOF, b"")
    connection = RelayBytes(found)
    assert await connection.read() == b"all"
    if lost:
        found.fail(HopFailed("ssh_lost", "the connection was lost"))
    else:
        found.frame(wire.EXIT, b'{"error": "Broken pipe", "errno": 32}')

    assert await connection.read() == b""
    assert await connection.read() == b""


async def test_bytes_that_a_lost_link_has_cut_have_no_end():
    found = stream(1)
    found.frame(wire.STDOUT, b"part")
    found.fail(HopFailed("ssh_lost", "the connection was lost"))
    connection = RelayBytes(found)
    assert await connection.read() == b"part"

    for _ in range(2):
        with pytest.raises(HopFailed, match="lost"):
            await connection.read()
