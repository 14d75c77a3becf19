"""What waits while a link takes nothing: bounded, and the newest of each state gets there."""

import asyncio
import gc
import os
import signal
import tracemalloc
from contextlib import contextmanager

from support.served import cluster_at

from gateway.backends.factory import make
from gateway.backends.relay.credentials import throw_away
from gateway.backends.relay.send_queue import SendQueue
from gateway.protocol.target import Command, Target, TerminalSize
from gateway.relay import wire
from gateway.settings.config import Limits

RUNNER = Target("default")
WAY = 8 << 20  # bytes: more than all pipes, SSH's window and asyncssh hold


class Process:
    """The far side of a queue: full when it is told so."""

    def __init__(self):
        self.full = False
        self.sent = []
        self.takes = 1 << 30

    def on_drained(self, call):
        self.drained = call

    def send(self, frames):
        self.sent.append(frames)
        self.full = len(self.sent) >= self.takes

    def drain(self, takes=1 << 30):
        self.full, self.takes = False, len(self.sent) + takes
        self.drained()


async def test_frames_keep_their_order_and_of_a_state_the_newest_is_sent():
    process = Process()
    queue = SendQueue(process)
    queue.send(wire.encode_size(1, 80, 24))
    queue.flush()
    process.full = True
    for rows in range(25, 30):
        queue.send(wire.encode_size(1, 80, rows))
        queue.send(wire.encode_size(2, 90, rows))
        queue.send(wire.encode(wire.STDIN, 1, b"%d" % rows))
    queue.send(wire.encode(wire.EOF, 1))
    queue.send(wire.encode(wire.EOF, 2))
    process.drain()
    typed = [wire.encode(wire.STDIN, 1, b"%d" % rows) for rows in range(25, 30)]
    sizes = [wire.encode_size(1, 80, 29), wire.encode_size(2, 90, 29)]
    ends = [wire.encode(wire.EOF, 1), wire.encode(wire.EOF, 2)]
    rest = [*typed[:4], *sizes, typed[4], *ends]
    assert process.sent == [wire.encode_size(1, 80, 24), b"".join(rest)]


async def test_a_process_that_takes_one_packet_gets_one():
    process = Process()
    queue = SendQueue(process)
    process.full = True
    frames = [wire.encode(wire.STDIN, 1, bytes(wire.FULL)) for _ in range(3)]
    for frame in frames:
        queue.send(frame)
    process.drain(2)
    assert process.sent == frames[:2]
    queue.send(wire.encode(wire.EOF, 1))
    process.drain()
    assert process.sent == [*frames, wire.encode(wire.EOF, 1)]


async def test_what_is_sent_in_one_turn_leaves_as_one_write():
    """20 requests at once wake sshd, incus and the relay once."""
    process = Process()
    queue = SendQueue(process)
    frames = [wire.encode(wire.STDIN, stream, b"GET /") for stream in range(20)]
    for frame in frames:
        queue.send(frame)
    assert process.sent == []
    await asyncio.sleep(0)
    assert process.sent == [b"".join(frames)]


async def test_only_what_has_no_credit_fills_it():
    process = Process()
    queue = SendQueue(process, most=100)
    process.full = True
    for _ in range(100):
        queue.send(wire.encode(wire.STDIN, 1, bytes(100)))
        queue.send(wire.encode_offset(wire.SEEN, 1, 7))
    assert not queue.overfull
    queue.send(wire.encode_request(2, {"argv": ["x" * 100]}))
    assert queue.overfull
    process.drain()
    assert not queue.overfull


@contextmanager
def stopped(pid):
    """A process that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_sizes_do_not_pile_up_while_a_link_stalls(demo):
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    command = Command(
        ("sh", "-c", "echo ready; read -r line; stty size"), "run", stdin=True, stdout=True, tty=True,
        size=TerminalSize(80, 24),
    )  # fmt: skip
    async with (
        make(cluster, Limits(), None, throw_away()) as backend,
        backend.exec(RUNNER, command) as channel,
    ):
        output, got = channel.output(), b""
        while b"ready" not in got:
            got += (await anext(output))[1]
        link = await backend.link()
        with stopped(link.about["pid"]):
            for _ in range(WAY // wire.CHUNK):
                link.send(wire.encode(wire.PING, 0, bytes(wire.CHUNK)))
            await asyncio.sleep(1)
            gc.collect()
            tracemalloc.start()
            for number in range(5_000):
                channel.resize(TerminalSize(100, 1 + number % 50))
            waiting = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
        channel.resize(TerminalSize(101, 41))
        await channel.write(b"\n")
        async with asyncio.timeout(20):
            async for _, data in output:
                got += data
    assert waiting < 1 << 16
    assert b"41 101" in got
