"""Frames that are right, nearly right and wrong, in any order, against both ends: none hangs, none breaks, all say why."""

import asyncio
import contextlib
import select
import socket
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.leaks import alive
from support.relayed import far_side
from support.repeated import examples

from gateway.backends.relay.channel import RelayChannel
from gateway.backends.relay.link import Link
from gateway.protocol.target import Command, Target
from gateway.relay import run_directory, wire

QUIET = {"suppress_health_check": list(HealthCheck)}
NUMBERS = st.integers(0, 4)
REQUESTS = st.sampled_from([
    {"argv": ["cat"]}, {"argv": ["true"]}, {"argv": ["printf", "x" * 3000], "credit": 10}, {"argv": ["/not/there"]},
    {"argv": ["cat"], "tty": [80, 24], "apart": True}, {"argv": ["cat"], "name": "n", "grace": 0.1},
    {"argv": ["cat"], "name": "m", "grace": 0, "newest": True, "note": {"a": 1}}, {"attach": "n"}, {"attach": "m", "offset": 2},
    {"attach": "none", "offset": -5}, {"list": True}, {"check": True}, {"dial": "unix:/not/there"},
    {"dial": "tcp:127.0.0.1:1"}, {"argv": ["true"], "after": [["true"]], "after_tag": "t"}, {"argv": []}, {},
    {"attach": []}, {"argv": ["cat"], "credit": -1}, {"argv": ["cat"], "name": 3}, {"dial": 3}, {"argv": ["cat"], "after": 1},
    {"argv": ["cat"], "after": [[]]}, {"argv": ["cat"], "env": 5}, {"argv": ["cat"], "tty": {}},
    {"proxy": {"argv": ["true"]}}, {"proxy": {"argv": ["sleep", "9"], "idle": 0.1, "newer": 1}}, {"proxy": {"argv": ["/not/there"]}},
    {"proxy": {"argv": ["true"], "newer": "x"}}, {"proxy": []},
])  # fmt: skip
TO_RELAY = st.one_of(
    st.builds(wire.encode_request, NUMBERS, REQUESTS),
    st.builds(wire.encode, st.just(wire.STDIN), NUMBERS, st.binary(max_size=300)),
    st.builds(wire.encode_credit, NUMBERS, st.integers(0, 100_000)),
    st.builds(wire.encode_size, NUMBERS, st.integers(0, 65535), st.integers(0, 65535)),
    st.builds(wire.encode, st.just(wire.SIGNAL), NUMBERS, st.sampled_from([b"TERM", b"INT", b"WINCH", b"", b"\xff"])),
    st.builds(wire.encode_offset, st.just(wire.SEEN), NUMBERS, st.integers(0, 2**63)),
    st.builds(wire.encode, st.sampled_from([wire.EOF, wire.END, wire.SKIP, wire.PING]), NUMBERS),
    st.builds(wire.encode, st.sampled_from([wire.NOTE, wire.PART]), NUMBERS, st.sampled_from([b"{}", b"[]", b'{"a', b""])),
    st.builds(wire.encode, st.integers(0, wire.KINDS), NUMBERS, st.binary(max_size=12)),
    st.binary(min_size=1, max_size=20),
)  # fmt: skip


@pytest.fixture(scope="module")
def daemon():
    """(its directory, version, secret, pid)."""
    with far_side(sys.executable) as far:
        link = far.link(idle=2)
        yield str(far.places[0]), link.about["version"], far.settings["secret"], link.about["pid"]


def bare_link(daemon):
    """Our end of a link that no carrier's process stands behind, and the carrier's socket."""
    directory, version, secret, _ = daemon
    carrier = run_directory.connect(directory, version)
    carrier.settimeout(5)
    carrier.send(secret.encode())
    assert carrier.recv(16).startswith(b"ok ")  # and how many sessions wait there, of the example before
    ours, theirs = socket.socketpair()
    socket.send_fds(carrier, [b"link"], [theirs.fileno(), theirs.fileno()])
    theirs.close()
    return ours, carrier


def heard(ours, seconds=10.0):
    """(frames, whether the link has ended) up to the PONG that was asked for last; TimeoutError is a hang."""
    decoder, frames, end = wire.Decoder(), [], time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([ours], [], [], end - time.monotonic())[0]:
            break
        try:
            data = ours.recv(65536)
        except ConnectionResetError:  # it closed before it had read all that was said
            data = b""
        frames += decoder.feed(data)
        if not data:
            return frames, True
        if (wire.PONG, 0, b"the last") in frames:
            return frames, False
    raise TimeoutError(frames)


@given(st.lists(TO_RELAY, max_size=14))
@settings(examples(250, random=True), **QUIET)
def test_a_live_daemon_answers_or_says_why_not(daemon, said):
    ours, carrier = bare_link(daemon)
    with ours, carrier:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            ours.sendall(b"".join(said))
            ours.sendall(wire.encode(wire.PING, 0, b"the last"))
            ours.shutdown(socket.SHUT_WR)
        frames, _ = heard(ours)

    told = [wire.decode_object(body) for kind, _, body in frames if kind in (wire.BYE, wire.EXIT)]
    assert "a defect of the relay" not in str(told)
    assert frames[0][0] == wire.HELLO
    last = {kind for kind, _, _ in frames} & {wire.PONG, wire.BYE}
    assert last, frames
    assert alive(daemon[3])


class Far:
    """A process of the chain that says what it was given; see `Process`."""

    lost = full = False
    exit_code = 0

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.said = b""

    def on_drained(self, call: Callable[[], None]) -> None:
        """It always takes what is sent."""

    def send(self, data: bytes) -> None:
        self.said += data

    def close(self) -> None:
        self.closed.set()

    async def wait_closed(self) -> None:
        await self.closed.wait()


WORDS = st.one_of(st.none(), st.booleans(), st.integers(-5, 300), st.integers(-(10**30), 10**30), st.text(max_size=3),
                  st.floats(), st.lists(st.none(), max_size=1))  # fmt: skip
OBJECTS = st.dictionaries(
    st.sampled_from(["code", "signal", "error", "errno", "full", "spool", "pid", "offset", "received", "words", "reason",
                     "protocol", "tag", "results"]), WORDS, max_size=4,
)  # fmt: skip
FROM_RELAY = st.one_of(
    st.builds(
        wire.encode_object,
        st.sampled_from([wire.STARTED, wire.EXIT, wire.EXIT, wire.AFTER]),
        NUMBERS,
        OBJECTS,
    ),
    st.builds(wire.encode_object, st.sampled_from([wire.HELLO, wire.BYE]), st.just(0), OBJECTS),
    st.builds(wire.encode, st.sampled_from([wire.STDOUT, wire.STDERR]), NUMBERS, st.binary(max_size=300)),
    st.builds(wire.encode_credit, NUMBERS, st.integers(0, 2**32 - 1)),
    st.builds(wire.encode, st.sampled_from([wire.EOF, wire.PONG]), NUMBERS, st.binary(max_size=8)),
    st.builds(wire.encode, st.integers(0, wire.KINDS), NUMBERS, st.binary(max_size=12)),
    st.binary(min_size=1, max_size=20),
)


@given(st.lists(FROM_RELAY, max_size=10), st.booleans())
@settings(examples(600, random=True), **QUIET)
def test_the_gateways_end_takes_anything(said, tty):
    """The link is lost with a name or lives; each session has an outcome, and a defect is nobody's."""

    def took(about):
        assert all(0 <= one.get("code", 0) <= 255 for one in about["results"])

    async def play():
        link = Link(Far(), took)
        target, command = (
            Target("default", "default", "web-0"),
            Command(("sh",), "exec", stdout=True, tty=tty),
        )
        channels = [
            RelayChannel(link.open({"argv": ["x"]}), target, command, kubectl=n < 2) for n in range(3)
        ]
        for data in said:
            if not link.lost:
                link._arrived(1, data)
        if link.lost:
            assert link.lost.code == "relay_lost", link.lost
        link._closed()
        async with asyncio.timeout(10):
            for channel in channels:
                with contextlib.suppress(type(link.lost)):
                    await channel.start()
                async for stream, _ in channel.output():
                    assert stream in (1, 2)
                outcome = await channel.wait()
                assert outcome.code != "gateway_error"
                assert outcome.exit_code is None or 0 <= outcome.exit_code <= 255

    asyncio.run(play())
