"""A far side that says much, and nothing that ends it: what the gateway keeps of it is bounded."""

import asyncio
import json
import tracemalloc
from contextlib import contextmanager

import pytest

from gateway.backends.incus.trailer import IncusTrailerFilter
from gateway.backends.kube.kubectl_stderr import KubectlStderrFilter
from gateway.backends.plain.channel import PlainChannel
from gateway.backends.plain.lease import Lease
from gateway.backends.plain.wrapper import MARK_LIMIT, TALK_LIMIT, Stderr, Stdout
from gateway.backends.relay.link import Link
from gateway.backends.relay.link_stream import LinkStream
from gateway.errors import HopFailed
from gateway.protocol.outcome import CODES
from gateway.protocol.target import Command, Target
from gateway.relay import wire

RS = b"\x1eNONCE"
CHUNK = b"error: words " * 5041  # 64 KiB, without a line's end
MUCH = 1600  # of them: 100 MB
SOME = 48  # of them: 3 MiB, where each byte is looked at; three times what `slowly` lets be kept
READY, START, EXIT = RS + b" ready\n", RS + b" start 42\n", RS + b" exit 1\n"


@contextmanager
def little(most=2 << 20):
    """At no time more than so many bytes are kept."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most


def slowly():
    """As `little`, for SOME."""
    return little(1 << 20)


class Process:
    """Says these things, the last one for ever unless it is `last`."""

    lost, exit_code = False, 0

    def __init__(self, *says, much=0, kind=1, last=()):
        self.says = [*says]
        self.much, self.kind, self.last = much, kind, [*last]
        self.full = False

    async def read(self):
        await asyncio.sleep(0)
        if self.says:
            return [self.says.pop(0)]
        if self.much:
            self.much -= 1
            return [(self.kind, CHUNK)]
        return [self.last.pop(0)] if self.last else []

    async def write(self, data):
        pass

    def send(self, data):
        pass

    def on_drained(self, call):
        pass

    def close(self):
        pass


@pytest.mark.parametrize("before", [b"", READY, READY + START, READY + START + EXIT])
def test_a_mark_without_an_end_ends_all(before):
    out = Stdout("NONCE")
    out.feed(before)
    with little():
        assert out.feed(RS + b" exit") == b""
        for _ in range(MUCH):
            out.feed(CHUNK)
        assert out.end() == b""
    assert not out.seen.complete


def test_a_mark_may_come_in_pieces():
    out = Stdout("NONCE")
    out.feed(READY)
    for byte in RS + b" start " + b"4" * (MARK_LIMIT - 30) + b"\n":
        out.feed(bytes([byte]))
    assert out.seen.pid == int("4" * (MARK_LIMIT - 30))


def test_talk_without_an_end():
    out, err = Stdout("NONCE"), Stderr("NONCE")
    with little():
        for _ in range(MUCH):
            out.feed(CHUNK)
            err.feed(CHUNK)
    assert (len(out.talk), len(err.talk)) == (TALK_LIMIT, TALK_LIMIT)


def test_words_of_incus_without_an_end():
    parting, size = IncusTrailerFilter(), 0
    begin = b"Error: websocket: close "
    with little():
        size += len(parting.feed(begin))
        for _ in range(MUCH):
            size += len(parting.feed(CHUNK))
    assert size + len(parting.held) == len(begin) + MUCH * len(CHUNK)


def test_words_of_kubectl_without_an_end():
    words, size = KubectlStderrFilter(), 0
    words.pid = 42
    with slowly():
        for _ in range(SOME):
            size += len(words.feed(CHUNK))
        body, last = words.end(1)
    assert size + len(body) + len(last) == SOME * len(CHUNK)


@pytest.mark.parametrize("tty", [True, False], ids=["tty", "pipes"])
async def test_a_session_of_the_plain_chain_has_its_end(tty):
    """A kubectl that says 3 MB of words before its end: in a terminal behind the command's exit, else on its stderr."""
    says = [(1, READY), (1, START), *([(1, EXIT)] if tty else [(2, RS + b"\n")])]
    last = (
        [(1, b"\nerror: the last\n"), (1, RS + b"\n")] if tty else [(2, RS + b"\n"), (1, EXIT + RS + b"\n")]
    )
    process = Process(*says, much=SOME, kind=1 if tty else 2, last=last)
    command = Command(("ls",), stdout=True, stderr=not tty, tty=tty)
    channel = PlainChannel(process, "NONCE", Target("default", "ns", "p"), command)
    size = 0
    with slowly():
        await channel.start(("kubectl", "x"))
        async for _, data in channel.output():
            size += len(data)
        outcome = await channel.wait()
    assert outcome.code in CODES
    assert size < len(CHUNK) if tty else size > len(CHUNK) * (SOME - 1)


async def test_a_lease_whose_line_has_no_end_is_lost():
    lease = Lease.__new__(Lease)
    lease._tick = 100.0
    out = Stdout("NONCE")
    out.feed(READY + START)
    with little(), pytest.raises(HopFailed, match="a line of more than"):
        await lease._tend(Process(much=MUCH), out)


def frames(*rows):
    text = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return b"".join(wire.encode(wire.STDOUT, 1, text[at : at + 16384]) for at in range(0, len(text), 16384))


async def test_a_list_of_any_number_of_names_ends_the_link():
    row = {"name": "x"}
    link = Link(Process(*[(1, frames(*[row] * 2000))] * 6), lambda _: None)
    link.about = {"named": 1}
    link.fail = lambda error: pytest.fail(str(error))
    stream_window = wire.Window(wire.MOST)
    opened = link.open

    def open_wide(request):
        stream = opened(request)
        stream._window = stream_window
        return stream

    link.open = open_wide
    with pytest.raises(HopFailed, match="rows"):
        await link.named()


def test_what_needs_no_credit_does_not_pile_up():
    stream = LinkStream.nowhere()
    with little(1 << 18):
        for offset in range(20_000):
            stream.frame(wire.GAP, offset.to_bytes(8, "big"))
            stream.frame(wire.STDOUT, b"")
        for _ in range(20_000):
            stream.frame(wire.EOF, b"")
    assert stream.take() == [(wire.GAP, (19_999).to_bytes(8, "big")), (wire.EOF, b"")]
