"""What comes on a stream before its task runs, or on one that took another's place, is heard."""

import json
from pathlib import Path

from support.served import cluster_at

from gateway.backends.relay.flow_window import ActivityTracker
from gateway.backends.relay.link_stream import LinkStream
from gateway.backends.relay.resumable_channel import ResumableRelayChannel, Terms
from gateway.backends.relay.seal import Seal
from gateway.backends.relay.streams import RelayStreams
from gateway.backends.resume import RecoveredSession
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

    async with RelayStreams(cluster_at("mgmt", Path(), Path(), "runner"), Limits(), link).dial("tcp:10.0.0.1:6379") as connection:
        assert await connection.read() == b"ERR too many clients\r\n"
